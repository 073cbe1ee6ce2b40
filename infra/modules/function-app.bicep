metadata description = 'The function app and its Flex Consumption plan.'

param name string
param planName string
param applicationInsightsId string
param location string
param tags object
param identityId string

@description('Whether settings refer to secrets in a key vault, which the identity then reads.')
param readsKeyVaultReferences bool
param packageContainerUrl string
param maximumInstanceCount int
param publicNetworkAccess 'Enabled' | 'Disabled'

@description('The subnet for the app\'s outbound traffic; null to use the platform\'s own.')
param subnetId string?

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, {
    'azd-service-name': 'connector'
    // By this the portal, and scripts/verify-deployment.sh, find the telemetry of the app.
    'hidden-link: /app-insights-resource-id': applicationInsightsId
    // A policy can change publicNetworkAccess silently; scripts/verify-deployment.sh compares it with this.
    'wanted-public-network-access': publicNetworkAccess
  })
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    publicNetworkAccess: publicNetworkAccess
    virtualNetworkSubnetId: subnetId
    keyVaultReferenceIdentity: readsKeyVaultReferences ? identityId : null
    functionAppConfig: {
      runtime: { name: 'python', version: '3.13' }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: {
        // The middle size: the smallest has a quarter of a processor, which makes a cold start several times longer,
        // and the largest buys memory that an app which holds one page of tickets at a time never uses.
        instanceMemoryMB: 2048
        maximumInstanceCount: maximumInstanceCount
        // Handlers are asynchronous and mostly wait for ServiceNow, so one instance serves many requests at once.
        // A ServiceNow node works on sixteen requests at once; more would only queue there.
        triggers: { http: { perInstanceConcurrency: 16 } }
      }
    }
    // Set nothing else here: newer stamps refuse settings that Flex Consumption lacks, such as ftpsState (error 51021).
    siteConfig: { minTlsVersion: '1.2' }
  }

  // Publishing signs in with Microsoft Entra ID, so no user name and password can leak.
  resource ftpPassword 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource publishingPassword 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

output name string = app.name
output hostName string = app.properties.defaultHostName
