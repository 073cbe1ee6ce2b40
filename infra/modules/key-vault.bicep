metadata description = 'The vault that holds the secrets of every ServiceNow connection, and nothing else.'

import { networkAccess } from 'network-access.bicep'

@minLength(3)
@maxLength(24)
param name string
param location string
param tags object
param access networkAccess

@description('Set to recover to bring back a deleted vault of this name with its secrets.')
param createMode 'default' | 'recover'

@description('Resource id of the Log Analytics workspace that keeps the audit log.')
param workspaceId string

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' = {
  name: name
  location: location
  // A policy can change publicNetworkAccess silently; scripts/verify-deployment.sh compares it with this.
  tags: union(tags, { 'wanted-public-network-access': access.publicNetworkAccess })
  properties: {
    createMode: createMode
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: access.publicNetworkAccess
    networkAcls: {
      bypass: 'None'
      defaultAction: access.publicNetworkAccess == 'Enabled' && access.?subnetId == null ? 'Allow' : 'Deny'
      ipRules: []
      virtualNetworkRules: access.?subnetId == null ? [] : [{ id: access.subnetId! }]
    }
  }
}

// The only stable version (2016) does not support category groups.
#disable-next-line use-recent-api-versions
resource auditLog 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'audit', enabled: true }]
  }
}

output id string = vault.id
output name string = vault.name
output url string = vault.properties.vaultUri
