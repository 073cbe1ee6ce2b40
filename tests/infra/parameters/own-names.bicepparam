using '../../../infra/main.bicep'

// A name of the company's own for everything, the way out through its firewall, and roles that somebody else assigns.
param environmentName = 'contoso'
param networkMode = 'private'
param tags = { department: 'security' }
param alertEmailAddresses = ['operations@contoso.com']
param applicationUniqueName = 'tickets-prod'
param assignRoles = false
param customHostName = 'tickets.contoso.com'
param forwardProxy = {
  convention: 'Custom'
  customHostHeaderName: 'X-Original-Host'
  customProtoHeaderName: 'X-Original-Proto'
}
param egressAddresses = ['203.0.113.8/29', '198.51.100.7']
param privateDnsZoneIds = {
  'privatelink.vaultcore.azure.net': '/subscriptions/55555555-5555-5555-5555-555555555555/resourceGroups/hub/providers/Microsoft.Network/privateDnsZones/privatelink.vaultcore.azure.net'
}
param names = {
  identity: 'own-identity'
  network: 'own-network'
  applicationSubnet: 'own-application-subnet'
  applicationSecurityGroup: 'own-application-rules'
  privateEndpointSubnet: 'own-endpoint-subnet'
  privateEndpointSecurityGroup: 'own-endpoint-rules'
  workspace: 'own-workspace'
  applicationInsights: 'own-telemetry'
  privateLinkScope: 'own-scope'
  hostStorage: 'ownhoststorage'
  mappingStorage: 'ownmappingstorage'
  keyVault: 'own-vault'
  plan: 'own-plan'
  functionApp: 'own-app'
  hostStoragePrivateEndpoint: 'own-host-endpoint'
  hostQueuesPrivateEndpoint: 'own-queues-endpoint'
  mappingStoragePrivateEndpoint: 'own-mapping-endpoint'
  keyVaultPrivateEndpoint: 'own-vault-endpoint'
  functionAppPrivateEndpoint: 'own-app-endpoint'
  monitoringPrivateEndpoint: 'own-monitoring-endpoint'
  actionGroup: 'own-recipients'
  alertRulePrefix: 'own'
}
