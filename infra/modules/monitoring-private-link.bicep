metadata description = 'Lets telemetry reach Azure Monitor through a private endpoint, and no other way.'

param name string
param tags object
param workspaceId string
param applicationInsightsId string

resource scope 'Microsoft.Insights/privateLinkScopes@2021-09-01' = {
  name: name
  location: 'global'
  tags: tags
  properties: {
    accessModeSettings: {
      ingestionAccessMode: 'PrivateOnly'
      queryAccessMode: 'Open'
    }
  }

  resource workspaceMember 'scopedResources' = {
    name: 'workspace'
    properties: { linkedResourceId: workspaceId }
  }

  resource applicationInsightsMember 'scopedResources' = {
    name: 'application-insights'
    properties: { linkedResourceId: applicationInsightsId }
  }
}
