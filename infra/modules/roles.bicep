metadata description = 'Every role that the function app needs, each on the one resource it is for.'

@description('Whether the roles are assigned here; if not, they are only listed.')
param assign bool
param identityId string
param hostStorageName string
param mappingStorageName string
param keyVaultId string

@description('A role with the data actions of infra/roles/key-vault-secrets.json, or more.')
param keyVaultRoleId string

param applicationInsightsName string

var partsOfIdentityId = split(identityId, '/')
var partsOfKeyVaultId = split(keyVaultId, '/')

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: last(partsOfIdentityId)
  scope: resourceGroup(partsOfIdentityId[2], partsOfIdentityId[4])
}
resource hostStorage 'Microsoft.Storage/storageAccounts@2026-06-01' existing = { name: hostStorageName }
resource mappingStorage 'Microsoft.Storage/storageAccounts@2026-06-01' existing = { name: mappingStorageName }
resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = { name: applicationInsightsName }

var roles = {
  hostStorage: {
    name: 'Storage Blob Data Owner'
    id: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
    why: 'The Functions host keeps its timers\' leases and its keys in blobs, and reads its package from a blob.'
  }
  // The two roles that Microsoft lists for queue triggers cannot give back a failed message (Storage Queue §C6).
  hostQueues: {
    name: 'Storage Queue Data Contributor'
    id: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
    why: 'The app shares out its work among its instances by messages in queues.'
  }
  mappingStorage: {
    name: 'Storage Table Data Contributor'
    id: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
    why: 'The app keeps connections, tickets and recommendations in tables.'
  }
  // It writes as well as reads: a client secret when a connection is configured, a refresh token at consent, access tokens
  // from then on. Key Vault Secrets Officer is the narrowest built-in role that may write. What it has beyond
  // infra/roles/key-vault-secrets.json (delete, purge, backup, restore) gives no power over a secret that reading and
  // overwriting do not give, and purge protection forbids one of them. A custom role as the default would need a right that
  // Role Based Access Control Administrator lacks, and would outlive the resource group.
  keyVault: {
    name: keyVaultRoleId == 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7' ? 'Key Vault Secrets Officer' : keyVaultRoleId
    id: keyVaultRoleId
    why: 'The app keeps client secrets and tokens of ServiceNow in the vault, and renews them.'
  }
  applicationInsights: {
    name: 'Monitoring Metrics Publisher'
    id: '3913510d-42f4-4e42-8a64-420c390055eb'
    why: 'Application Insights accepts telemetry from identities only.'
  }
}

resource hostStorageRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assign) {
  name: guid(hostStorage.id, identityId, roles.hostStorage.id)
  scope: hostStorage
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.hostStorage.id)
  }
}

resource hostQueuesRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assign) {
  name: guid(hostStorage.id, identityId, roles.hostQueues.id)
  scope: hostStorage
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.hostQueues.id)
  }
}

resource mappingStorageRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assign) {
  name: guid(mappingStorage.id, identityId, roles.mappingStorage.id)
  scope: mappingStorage
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.mappingStorage.id)
  }
}

module keyVaultRole 'role-on-key-vault.bicep' = if (assign) {
  scope: resourceGroup(partsOfKeyVaultId[2], partsOfKeyVaultId[4])
  params: {
    keyVaultName: last(partsOfKeyVaultId)
    identityId: identityId
    principalId: identity.properties.principalId
    roleDefinitionId: subscriptionResourceId(
      partsOfKeyVaultId[2],
      'Microsoft.Authorization/roleDefinitions',
      roles.keyVault.id
    )
  }
}

resource applicationInsightsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assign) {
  name: guid(applicationInsights.id, identityId, roles.applicationInsights.id)
  scope: applicationInsights
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.applicationInsights.id)
  }
}

type neededRole = {
  scope: string
  roleDefinitionId: string
  roleName: string
  principalId: string
  why: string
}

var scopes = {
  hostStorage: hostStorage.id
  hostQueues: hostStorage.id
  mappingStorage: mappingStorage.id
  keyVault: keyVaultId
  applicationInsights: applicationInsights.id
}

output needed neededRole[] = [
  for role in items(roles): {
    scope: scopes[role.key]
    roleDefinitionId: subscriptionResourceId(
      split(scopes[role.key], '/')[2],
      'Microsoft.Authorization/roleDefinitions',
      role.value.id
    )
    roleName: role.value.name
    principalId: identity.properties.principalId
    why: role.value.why
  }
]
