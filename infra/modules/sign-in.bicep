metadata description = 'The app registration that people and clients sign in to; scripts/register_application.py makes the same one.'

extension microsoftGraphV1

@description('Name by which a later deployment finds the registration; unique in the tenant.')
param uniqueName string

@description('Host names under which the app is opened.')
param hostNames string[]

@description('Principal id of the managed identity whose tokens replace a client secret.')
param identityPrincipalId string

@description('Whether the managed identity proves the app; if not, a client secret does.')
param federatedCredential bool

@description('Object ids of people who get every app role.')
param administratorObjectIds string[]

var definition = loadJsonContent('../sign-in/application.json')
var principalDefinition = loadJsonContent('../sign-in/service-principal.json')

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: uniqueName
  displayName: definition.displayName
  signInAudience: definition.signInAudience
  // Tokens name only the groups that are assigned to this application: seldom more than the 200 that a token can hold.
  groupMembershipClaims: definition.groupMembershipClaims
  appRoles: definition.appRoles
  api: definition.api
  optionalClaims: definition.optionalClaims
  requiredResourceAccess: definition.requiredResourceAccess
  web: {
    redirectUris: [for hostName in hostNames: 'https://${hostName}/.auth/login/aad/callback']
    implicitGrantSettings: {
      enableAccessTokenIssuance: false
      enableIdTokenIssuance: true
    }
  }

  resource managedIdentity 'federatedIdentityCredentials' = if (federatedCredential) {
    name: '${uniqueName}/managed-identity'
    audiences: ['api://AzureADTokenExchange']
    issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
    subject: identityPrincipalId
    description: 'The function app proves itself with its managed identity instead of a client secret.'
  }
}

resource principal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
  appRoleAssignmentRequired: principalDefinition.appRoleAssignmentRequired
  tags: principalDefinition.tags
}

var grants = flatten(map(
  administratorObjectIds,
  objectId => map(definition.appRoles, role => { principalId: objectId, appRoleId: role.id })
))

resource administratorRoles 'Microsoft.Graph/appRoleAssignedTo@v1.0' = [
  for grant in grants: {
    appRoleId: grant.appRoleId
    principalId: grant.principalId
    resourceId: principal.id
  }
]

output clientId string = application.appId
