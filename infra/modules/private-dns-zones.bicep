metadata description = 'The DNS zones that make the names of Azure services resolve to private endpoints inside the network.'

param zoneNames string[]
param networkName string
param tags object

resource network 'Microsoft.Network/virtualNetworks@2026-03-01' existing = { name: networkName }

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zoneName in zoneNames: {
    name: zoneName
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zoneName, index) in zoneNames: {
    parent: zones[index]
    name: networkName
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: network.id }
    }
  }
]
