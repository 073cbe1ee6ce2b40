metadata description = 'A private endpoint, entered in the DNS zones of the service it leads to.'

param name string
param location string
param tags object
param subnetId string

@description('The resource that the endpoint leads to.')
param targetId string

@description('Its sub-resource, such as blob or vault.')
param groupId string
param zoneNames string[]

resource privateEndpoint 'Microsoft.Network/privateEndpoints@2026-03-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    customNetworkInterfaceName: '${name}-nic'
    privateLinkServiceConnections: [
      {
        name: groupId
        properties: {
          privateLinkServiceId: targetId
          groupIds: [groupId]
        }
      }
    ]
  }

  resource zoneGroup 'privateDnsZoneGroups' = {
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        for zoneName in zoneNames: {
          name: replace(zoneName, '.', '-')
          properties: { privateDnsZoneId: resourceId('Microsoft.Network/privateDnsZones', zoneName) }
        }
      ]
    }
  }
}
