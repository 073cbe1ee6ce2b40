metadata description = 'A virtual network whose traffic to the internet leaves from one fixed address, its own or that of a company firewall.'

import { accessControlRule } from 'service-now-access-control.bicep'

param names networkNames
param location string
param tags object

@description('Address range of the network, /25 or larger; the first quarter is for the function app, the second for private endpoints.')
param addressPrefix string

@description('Whether the app reaches storage and Key Vault by service endpoints; not needed if they have private endpoints.')
param serviceEndpoints bool

@description('Route table of both subnets; empty for none.')
param routeTableId string

@description('DDoS protection plan of the network; empty for none.')
param ddosProtectionPlanId string

@description('Whether the network has an address of its own to the internet; not needed if a firewall of yours has one.')
param natGateway bool

type networkNames = {
  network: string
  applicationSubnet: string
  applicationSecurityGroup: string
  privateEndpointSubnet: string
  privateEndpointSecurityGroup: string
  publicIpAddress: string
  natGateway: string
  *: string
}

var routeTable = empty(routeTableId) ? null : { id: routeTableId }

resource egressAddress 'Microsoft.Network/publicIPAddresses@2026-03-01' = if (natGateway) {
  name: names.publicIpAddress
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: {
    publicIPAllocationMethod: 'Static'
    publicIPAddressVersion: 'IPv4'
  }
}

resource gateway 'Microsoft.Network/natGateways@2026-03-01' = if (natGateway) {
  name: names.natGateway
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: {
    idleTimeoutInMinutes: 4
    publicIpAddresses: [{ id: egressAddress.id }]
  }
}

// ServiceNow, Microsoft Entra ID, Microsoft Graph and Azure are all reached over HTTPS; Azure's own DNS is not subject to these rules.
resource applicationRules 'Microsoft.Network/networkSecurityGroups@2026-03-01' = {
  name: names.applicationSecurityGroup
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'deny-inbound'
        properties: {
          description: 'Requests reach the app through its front end, never through this subnet.'
          direction: 'Inbound'
          priority: 4000
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
      {
        name: 'allow-https'
        properties: {
          description: 'ServiceNow, Microsoft Entra ID, Microsoft Graph, storage, Key Vault and Azure Monitor.'
          direction: 'Outbound'
          priority: 100
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '443'
        }
      }
      {
        name: 'deny-outbound'
        properties: {
          description: 'Nothing else leaves.'
          direction: 'Outbound'
          priority: 4000
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource privateEndpointRules 'Microsoft.Network/networkSecurityGroups@2026-03-01' = {
  name: names.privateEndpointSecurityGroup
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'allow-https-from-network'
        properties: {
          description: 'The app, and networks peered with this one.'
          direction: 'Inbound'
          priority: 100
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: 'VirtualNetwork'
          destinationPortRange: '443'
        }
      }
      {
        name: 'deny-inbound'
        properties: {
          description: 'Nothing else reaches the endpoints.'
          direction: 'Inbound'
          priority: 4000
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2026-03-01' = {
  name: names.network
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    enableDdosProtection: !empty(ddosProtectionPlanId)
    ddosProtectionPlan: empty(ddosProtectionPlanId) ? null : { id: ddosProtectionPlanId }
    // Defined inside the network's own resource: every deployment would remove child resources and add them again.
    subnets: [
      {
        name: names.applicationSubnet
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 0)
          defaultOutboundAccess: false
          delegations: [
            { name: 'flex-consumption', properties: { serviceName: 'Microsoft.App/environments' } }
          ]
          natGateway: natGateway ? { id: gateway.id } : null
          networkSecurityGroup: { id: applicationRules.id }
          routeTable: routeTable
          privateEndpointNetworkPolicies: 'Enabled'
          serviceEndpoints: serviceEndpoints
            ? [{ service: 'Microsoft.Storage' }, { service: 'Microsoft.KeyVault' }]
            : []
        }
      }
      {
        name: names.privateEndpointSubnet
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 1)
          defaultOutboundAccess: false
          networkSecurityGroup: { id: privateEndpointRules.id }
          routeTable: routeTable
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }
}

@description('Empty if the network has no address of its own.')
output egressAddress string = natGateway ? egressAddress!.properties.ipAddress : ''
output accessControlRule string = natGateway
  ? accessControlRule(egressAddress!.properties.ipAddress, egressAddress!.properties.ipAddress)
  : ''
