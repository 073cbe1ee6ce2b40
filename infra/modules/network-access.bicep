metadata description = 'Who reaches a data service over the network.'

@export()
@description('Access from the internet (identity alone decides), from one subnet, or through private endpoints only.')
type networkAccess = {
  publicNetworkAccess: 'Enabled' | 'Disabled'
  @description('The only subnet with access; null if no subnet is known or needed.')
  subnetId: string?
}
