metadata description = 'The identity that the function app acts as. It exists before the app, so that its roles do too.'

@description('Resource id of an identity that exists; empty to make one.')
param existingId string
param name string
param location string
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = if (empty(existingId)) {
  name: name
  location: location
  tags: tags
}

var partsOfExistingId = split(existingId, '/')

resource existingIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = if (!empty(existingId)) {
  name: last(partsOfExistingId)
  scope: resourceGroup(
    partsOfExistingId[?2] ?? subscription().subscriptionId,
    partsOfExistingId[?4] ?? resourceGroup().name
  )
}

output clientId string = empty(existingId) ? identity!.properties.clientId : existingIdentity!.properties.clientId
output principalId string = empty(existingId)
  ? identity!.properties.principalId
  : existingIdentity!.properties.principalId
