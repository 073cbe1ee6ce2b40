metadata description = 'A workbook that shows over time the figures that the alerts watch.'

param location string
param tags object
param applicationInsightsName string

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = { name: applicationInsightsName }

var charts chart[] = [
  { title: 'Connections now', query: loadTextContent('../queries/workbook/connections.kql'), visualization: 'table' }
  {
    title: 'Tickets created, delivered, postponed and refused'
    query: loadTextContent('../queries/workbook/tickets.kql')
    visualization: 'timechart'
  }
  {
    title: 'Age of the oldest ticket still waiting, in seconds'
    query: loadTextContent('../queries/workbook/pending.kql')
    visualization: 'timechart'
  }
  {
    title: 'Seconds behind ServiceNow'
    query: loadTextContent('../queries/workbook/sync-lag.kql')
    visualization: 'timechart'
  }
  {
    title: 'Changes taken over from ServiceNow'
    query: loadTextContent('../queries/workbook/changes-applied.kql')
    visualization: 'timechart'
  }
  {
    title: 'Days until consent ends'
    query: loadTextContent('../queries/workbook/consent.kql')
    visualization: 'timechart'
  }
  {
    title: 'Requests for tokens by outcome'
    query: loadTextContent('../queries/workbook/token-requests.kql')
    visualization: 'timechart'
  }
  {
    title: 'Connection status changes'
    query: loadTextContent('../queries/workbook/status-changes.kql')
    visualization: 'table'
  }
  {
    title: 'Requests to ServiceNow by outcome'
    query: loadTextContent('../queries/workbook/servicenow-requests.kql')
    visualization: 'timechart'
  }
  {
    title: 'Duration of requests to ServiceNow, in seconds'
    query: loadTextContent('../queries/workbook/servicenow-duration.kql')
    visualization: 'timechart'
  }
  {
    title: 'Answers by which ServiceNow asked to slow down'
    query: loadTextContent('../queries/workbook/throttled.kql')
    visualization: 'timechart'
  }
  {
    title: 'Own answers by status'
    query: loadTextContent('../queries/workbook/answers.kql')
    visualization: 'timechart'
  }
  {
    title: 'Own answers with 5xx, the platform\'s included'
    query: loadTextContent('../queries/workbook/server-errors.kql')
    visualization: 'timechart'
  }
]

type chart = {
  title: string
  query: string
  visualization: 'table' | 'timechart'
}

var day = 86400000
var timeRange = {
  type: 9
  name: 'parameters'
  content: {
    version: 'KqlParameterItem/1.0'
    style: 'pills'
    queryType: 0
    resourceType: 'microsoft.insights/components'
    parameters: [
      {
        id: guid(applicationInsights.id, 'TimeRange')
        version: 'KqlParameterItem/1.0'
        name: 'TimeRange'
        label: 'Time range'
        type: 4
        isRequired: true
        value: { durationMs: day }
        typeSettings: {
          selectableValues: map([1, 3, 7, 30, 90], days => { durationMs: days * day })
          allowCustom: true
        }
      }
    ]
  }
}

var items = [
  for (chart, index) in charts: {
    type: 3
    name: 'chart-${index}'
    content: {
      version: 'KqlItem/1.0'
      title: chart.title
      query: chart.query
      size: 0
      timeContextFromParameter: 'TimeRange'
      queryType: 0
      resourceType: 'microsoft.insights/components'
      visualization: chart.visualization
    }
  }
]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(applicationInsights.id, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'ServiceNow tickets for Microsoft 365'
    category: 'workbook'
    version: 'Notebook/1.0'
    sourceId: applicationInsights.id
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat([timeRange], items)
      fallbackResourceIds: [applicationInsights.id]
    })
  }
}

output id string = workbook.id
