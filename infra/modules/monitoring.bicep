metadata description = 'Where logs, metrics and traces go. Nothing is accepted without a Microsoft Entra ID identity.'

param workspaceName string

@description('Resource id of a workspace that exists, whose settings are left as they are; empty to make one.')
param existingWorkspaceId string
param applicationInsightsName string
param location string
param tags object
param retentionInDays int

@description('Whether telemetry is accepted from the internet or only through the private link scope.')
param publicNetworkAccessForIngestion 'Enabled' | 'Disabled'

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' = if (empty(existingWorkspaceId)) {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionInDays
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
    publicNetworkAccessForIngestion: publicNetworkAccessForIngestion
    // People read the workbook, and alert rules run, from outside the network; both sign in.
    publicNetworkAccessForQuery: 'Enabled'
  }
}

var workspaceId = empty(existingWorkspaceId) ? workspace.id : existingWorkspaceId

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' = {
  name: applicationInsightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspaceId
    IngestionMode: 'LogAnalytics'
    DisableLocalAuth: true
    publicNetworkAccessForIngestion: publicNetworkAccessForIngestion
    publicNetworkAccessForQuery: 'Enabled'
  }
}

output workspaceId string = workspaceId
output applicationInsightsId string = applicationInsights.id
output connectionString string = applicationInsights.properties.ConnectionString
