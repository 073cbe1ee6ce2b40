using '../../../infra/main.bicep'

// Everything that a company may have already, each in a group of its own; the gateway in front passes on the host name,
// and the company watches the log with tools of its own.
param environmentName = 'contoso'
param networkMode = 'private'
param tags = { department: 'security' }
param customHostName = 'tickets.contoso.com'
param forwardProxy = { convention: 'Standard' }
param existingIdentityId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/identities/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-tickets'
param existingApplicationSubnetId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/networks/providers/Microsoft.Network/virtualNetworks/vnet-spoke/subnets/snet-app'
param existingPrivateEndpointSubnetId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/networks/providers/Microsoft.Network/virtualNetworks/vnet-spoke/subnets/snet-endpoints'
param existingWorkspaceId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/logs/providers/Microsoft.OperationalInsights/workspaces/log-central'
param existingKeyVaultId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/vaults/providers/Microsoft.KeyVault/vaults/kv-tickets'
param createDnsZones = false
param privateDnsZoneIds = {
  'privatelink.vaultcore.azure.net': '/subscriptions/55555555-5555-5555-5555-555555555555/resourceGroups/hub/providers/Microsoft.Network/privateDnsZones/privatelink.vaultcore.azure.net'
}
param infrastructureEncryption = true
param signInCredential = 'keyVaultSecret'
param alertLevel = 'none'
param signInSecretName = 'entra-tickets'
param existingCustomerTenantsClientId = '88888888-8888-8888-8888-888888888888'
