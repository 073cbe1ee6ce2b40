metadata description = 'Every role that the function app has, each on the one resource it is for.'

param identityName string
param hostStorageName string
param mappingStorageName string
param keyVaultName string

@description('A role with the data actions of infra/roles/key-vault-secrets.json, or more.')
param keyVaultRoleId string

param applicationInsightsName string

var roleIds = {
  storageBlobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  storageTableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = { name: identityName }
resource hostStorage 'Microsoft.Storage/storageAccounts@2026-06-01' existing = { name: hostStorageName }
resource mappingStorage 'Microsoft.Storage/storageAccounts@2026-06-01' existing = { name: mappingStorageName }
resource vault 'Microsoft.KeyVault/vaults@2026-05-15' existing = { name: keyVaultName }
resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = { name: applicationInsightsName }

// The Functions host keeps its timers' leases and its keys in blobs, and reads its package from a blob.
resource hostStorageRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(hostStorage.id, identity.id, roleIds.storageBlobDataOwner)
  scope: hostStorage
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.storageBlobDataOwner)
  }
}

resource mappingStorageRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(mappingStorage.id, identity.id, roleIds.storageTableDataContributor)
  scope: mappingStorage
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roleIds.storageTableDataContributor
    )
  }
}

// It writes as well as reads: a client secret when a connection is configured, a refresh token at consent, access tokens
// from then on. Key Vault Secrets Officer is the narrowest built-in role that may write. What it has beyond
// infra/roles/key-vault-secrets.json (delete, purge, backup, restore) gives no power over a secret that reading and
// overwriting do not give, and purge protection forbids one of them. A custom role as the default would need a right that
// Role Based Access Control Administrator lacks, and would outlive the resource group.
resource keyVaultRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identity.id, keyVaultRoleId)
  scope: vault
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', keyVaultRoleId)
  }
}

resource applicationInsightsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(applicationInsights.id, identity.id, roleIds.monitoringMetricsPublisher)
  scope: applicationInsights
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roleIds.monitoringMetricsPublisher
    )
  }
}
