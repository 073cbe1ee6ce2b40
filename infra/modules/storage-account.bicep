metadata description = 'A storage account that is reached with Microsoft Entra ID identities only.'

import { networkAccess } from 'network-access.bicep'

@minLength(3)
@maxLength(24)
param name string
param location string
param tags object
param sku 'Standard_LRS' | 'Standard_ZRS' | 'Standard_GRS' | 'Standard_GZRS'
param access networkAccess

@description('Whether data is encrypted twice, and tables and queues with the account\'s key. Azure takes both only when the account is created.')
param infrastructureEncryption bool

@description('Resource id of the Log Analytics workspace that records who read and wrote tables.')
param workspaceId string
param containerNames string[] = []
param tableNames string[] = []
param queueNames string[] = []

var encrypted = { enabled: true, keyType: 'Account' }

resource account 'Microsoft.Storage/storageAccounts@2026-06-01' = {
  name: name
  location: location
  // A policy can change publicNetworkAccess silently; scripts/verify-deployment.sh compares it with this.
  tags: union(tags, { 'wanted-public-network-access': access.publicNetworkAccess })
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowedCopyScope: 'AAD'
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    // An account that was made without it keeps the encryption it has.
    encryption: infrastructureEncryption
      ? {
          keySource: 'Microsoft.Storage'
          requireInfrastructureEncryption: true
          services: { blob: encrypted, file: encrypted, queue: encrypted, table: encrypted }
        }
      : null
    // Shared keys are off, so nobody can sign such an address; policies ask for the limit nevertheless.
    sasPolicy: { expirationAction: 'Block', sasExpirationPeriod: '07.00:00:00' }
    publicNetworkAccess: access.publicNetworkAccess
    networkAcls: {
      bypass: 'None'
      defaultAction: access.publicNetworkAccess == 'Enabled' && access.?subnetId == null ? 'Allow' : 'Deny'
      virtualNetworkRules: access.?subnetId == null ? [] : [{ id: access.subnetId!, action: 'Allow' }]
    }
  }

  resource blobs 'blobServices' = if (!empty(containerNames)) {
    name: 'default'
    properties: {
      deleteRetentionPolicy: { enabled: true, days: 7 }
      containerDeleteRetentionPolicy: { enabled: true, days: 7 }
    }

    resource containers 'containers' = [
      for containerName in containerNames: {
        name: containerName
        properties: { publicAccess: 'None' }
      }
    ]
  }

  resource tables 'tableServices' = if (!empty(tableNames)) {
    name: 'default'

    resource table 'tables' = [
      for tableName in tableNames: {
        name: tableName
      }
    ]
  }

  resource queues 'queueServices' = if (!empty(queueNames)) {
    name: 'default'

    resource queue 'queues' = [
      for queueName in queueNames: {
        name: queueName
      }
    ]
  }
}

// The only stable version (2016) does not support category groups.
#disable-next-line use-recent-api-versions
resource tableAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(tableNames)) {
  name: 'table-audit'
  scope: account::tables
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'audit', enabled: true }]
  }
}

output id string = account.id
output name string = account.name
output blobUrl string = account.properties.primaryEndpoints.blob
output queueUrl string = account.properties.primaryEndpoints.queue
output tableUrl string = account.properties.primaryEndpoints.table
