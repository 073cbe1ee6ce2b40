metadata description = 'The app registration that customers\' tenants consent to, so that the app can read their Secure Score; scripts/register_application.py makes the same one.'

extension microsoftGraphV1

@description('Name by which a later deployment finds the registration; unique in the tenant.')
param uniqueName string

@description('Host names under which the app is opened.')
param hostNames string[]

@description('Principal id of the managed identity whose tokens prove the registration.')
param identityPrincipalId string

var definition = loadJsonContent('../sign-in/customer-tenants.json')

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: uniqueName
  displayName: definition.displayName
  signInAudience: definition.signInAudience
  requiredResourceAccess: definition.requiredResourceAccess
  web: {
    redirectUris: [for hostName in hostNames: 'https://${hostName}/tenants/consent']
    implicitGrantSettings: {
      enableAccessTokenIssuance: false
      enableIdTokenIssuance: false
    }
  }

  // Nothing else proves it: no secret and no certificate (Microsoft Graph §2.5).
  resource managedIdentity 'federatedIdentityCredentials' = {
    name: '${uniqueName}/managed-identity'
    audiences: [
      environment().name == 'AzureUSGovernment' ? 'api://AzureADTokenExchangeUSGov' : 'api://AzureADTokenExchange'
    ]
    issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
    subject: identityPrincipalId
    description: 'The function app proves itself with its managed identity instead of a client secret.'
  }
}

output clientId string = application.appId
