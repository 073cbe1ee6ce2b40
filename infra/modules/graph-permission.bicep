metadata description = 'The permission by which the app reads the Secure Score of the tenant that it runs in.'

extension microsoftGraphV1

@description('Principal id of the app\'s managed identity.')
param identityPrincipalId string

resource microsoftGraph 'Microsoft.Graph/servicePrincipals@v1.0' existing = {
  appId: '00000003-0000-0000-c000-000000000000'
}

resource readSecurityEvents 'Microsoft.Graph/appRoleAssignedTo@v1.0' = {
  // SecurityEvents.Read.All
  appRoleId: 'bf394140-e372-4bf9-a898-299cfc7564e5'
  principalId: identityPrincipalId
  resourceId: microsoftGraph.id
}
