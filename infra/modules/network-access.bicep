metadata description = 'Who reaches a data service over the network.'

@export()
@description('From the internet (identity alone decides), from one subnet, or through private endpoints only.')
type networkAccess = {
  publicNetworkAccess: 'Enabled' | 'Disabled'
  @description('The only subnet that is let in; null where no subnet is known or needed.')
  subnetId: string?
}
