metadata description = 'The app\'s role on the key vault, which may be in another resource group than the app.'

param keyVaultName string

@description('Resource id of the app\'s identity; part of the name of the assignment.')
param identityId string
param principalId string
param roleDefinitionId string

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' existing = { name: keyVaultName }

resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identityId, last(split(roleDefinitionId, '/')))
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: roleDefinitionId
  }
}
