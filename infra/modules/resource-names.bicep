metadata description = 'Which resources can have a name of your own.'

@export()
@description('One member for each resource. Those inside another resource, such as tables, have the names that the app knows.')
type resourceNames = {
  identity: string?
  network: string?
  applicationSubnet: string?
  applicationSecurityGroup: string?
  privateEndpointSubnet: string?
  privateEndpointSecurityGroup: string?
  publicIpAddress: string?
  natGateway: string?
  workspace: string?
  applicationInsights: string?
  privateLinkScope: string?
  @description('Holds the package and the timers\' leases; unique in all of Azure.')
  @minLength(3)
  @maxLength(24)
  hostStorage: string?
  @description('Holds the tickets; unique in all of Azure.')
  @minLength(3)
  @maxLength(24)
  mappingStorage: string?
  @description('Unique in all of Azure, and taken for 90 days after a deletion.')
  @minLength(3)
  @maxLength(24)
  keyVault: string?
  plan: string?
  @description('Unique in all of Azure.')
  @minLength(2)
  @maxLength(60)
  functionApp: string?
  hostStoragePrivateEndpoint: string?
  hostQueuesPrivateEndpoint: string?
  mappingStoragePrivateEndpoint: string?
  keyVaultPrivateEndpoint: string?
  functionAppPrivateEndpoint: string?
  monitoringPrivateEndpoint: string?
  actionGroup: string?
  @description('Each alert rule is called by this, a hyphen and what it watches.')
  alertRulePrefix: string?
}
