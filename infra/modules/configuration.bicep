metadata description = 'The function app\'s settings and its sign-in. The whole set of each is here: a second writer would replace it.'

param functionAppName string
param settings object
param clientId string

@description('The app setting that App Service Authentication proves itself with.')
param credentialSettingName string

@description('Client ids of other applications, such as a portal or a script, that may call the API.')
param callerClientIds string[]
param forwardProxy forwardProxyHeaders

@export()
@description('None; X-Forwarded-Host and X-Forwarded-Proto; or headers of other names.')
@discriminator('convention')
type forwardProxyHeaders = noHeaders | standardHeaders | customHeaders

type noHeaders = { convention: 'NoProxy' }
type standardHeaders = { convention: 'Standard' }
type customHeaders = {
  convention: 'Custom'
  customHostHeaderName: string
  customProtoHeaderName: string?
}

resource app 'Microsoft.Web/sites@2025-03-01' existing = { name: functionAppName }

resource applicationSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: settings
}

resource authentication 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true, runtimeVersion: '~1' }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'RedirectToLoginPage'
      redirectToProvider: 'azureactivedirectory'
      // The browser returns here from ServiceNow, and a customer's administrator from Microsoft; a probe has no account.
      // The code treats all three as anonymous.
      excludedPaths: ['/api/oauth/callback', '/tenants/consent', '/api/health']
    }
    httpSettings: {
      requireHttps: true
      forwardProxy: forwardProxy
      routes: { apiPrefix: '/.auth' }
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: clientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
          clientSecretSettingName: credentialSettingName
        }
        login: { loginParameters: ['scope=openid profile email'] }
        validation: {
          allowedAudiences: [clientId]
          defaultAuthorizationPolicy: { allowedApplications: concat([clientId], callerClientIds) }
        }
      }
    }
    login: {
      allowedExternalRedirectUrls: []
      cookieExpiration: { convention: 'FixedTime', timeToExpiration: '08:00:00' }
      nonce: { validateNonce: true, nonceExpirationInterval: '00:05:00' }
      preserveUrlFragmentsForLogins: false
      routes: { logoutEndpoint: '/.auth/logout' }
      // The app needs no token of a signed-in user, so none is kept.
      tokenStore: { enabled: false }
    }
  }
  dependsOn: [applicationSettings]
}

output baseUrl string = settings.PUBLIC_BASE_URL
