metadata description = 'A private endpoint, entered in the DNS zones of the service it leads to.'

param name string
param location string
param tags object
param subnetId string

@description('The resource that the endpoint leads to.')
param targetId string

@description('Its sub-resource, such as blob or vault.')
param groupId string

@description('Resource ids of the DNS zones in which the endpoint is entered; empty where a policy or a person enters it.')
param zoneIds string[]

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

  resource zoneGroup 'privateDnsZoneGroups' = if (!empty(zoneIds)) {
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        for (zoneId, index) in zoneIds: {
          name: replace(last(split(zoneId, '/')), '.', '-')
          properties: { privateDnsZoneId: zoneIds[index] }
        }
      ]
    }
  }
}
