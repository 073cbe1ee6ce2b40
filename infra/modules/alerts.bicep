metadata description = 'Alert rules over the structured log, and who hears of them. docs/operations.md says what to do about each.'

param actionGroupName string
param rulePrefix string
param location string
param tags object
param applicationInsightsName string
param emailAddresses string[]

@description('Whether only those rules are made after which tickets no longer get through in one of the two directions.')
param essentialOnly bool

@description('Days before the end of a consent when warnings begin.')
param consentWarningDays int

@description('Age in seconds at which a ticket that has not reached ServiceNow is too old.')
param pendingWarningAgeS int

@description('Seconds by which tickets may be behind ServiceNow.')
param syncLagWarningS int

var rules rule[] = [
  {
    name: 'consent-ending'
    essential: true
    description: 'The consent of a connection ends soon; after that nothing is delivered or synchronised until somebody consents again.'
    query: loadTextContent('../queries/alerts/consent-ending.kql')
    severity: 2
    measure: 'days_left'
    aggregation: 'Minimum'
    operator: 'LessThan'
    threshold: consentWarningDays
    every: 'PT1H'
    over: 'PT6H'
    dimension: 'connection_id'
  }
  {
    name: 'authorization-required'
    essential: true
    description: 'ServiceNow no longer accepts the consent of a connection; an administrator has to authorize it again.'
    query: loadTextContent('../queries/alerts/authorization-required.kql')
    severity: 1
    measure: 'runs'
    aggregation: 'Total'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT5M'
    over: 'PT15M'
    dimension: 'connection_id'
  }
  {
    name: 'connection-unavailable'
    essential: false
    description: 'ServiceNow has not answered a connection for half an hour; tickets are kept and delivered when it is back.'
    query: loadTextContent('../queries/alerts/connection-unavailable.kql')
    severity: 2
    measure: 'answering'
    aggregation: 'Total'
    operator: 'LessThan'
    threshold: 1
    every: 'PT5M'
    over: 'PT30M'
    dimension: 'connection_id'
  }
  {
    name: 'deliveries-failing'
    essential: true
    description: 'ServiceNow refused tickets for good; each says why and can be retried once that is corrected.'
    query: loadTextContent('../queries/alerts/deliveries-failing.kql')
    severity: 2
    measure: 'failures'
    aggregation: 'Total'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT5M'
    over: 'PT15M'
    dimension: 'connection_id'
  }
  {
    name: 'deliveries-waiting'
    essential: true
    description: 'A ticket has been waiting for ServiceNow for too long.'
    query: loadTextContent('../queries/alerts/deliveries-waiting.kql')
    severity: 2
    measure: 'age_s'
    aggregation: 'Maximum'
    operator: 'GreaterThan'
    threshold: pendingWarningAgeS
    every: 'PT5M'
    over: 'PT30M'
    dimension: 'connection_id'
  }
  {
    name: 'sync-lag'
    essential: true
    description: 'Ticket states are further behind ServiceNow than they may be.'
    query: loadTextContent('../queries/alerts/sync-lag.kql')
    severity: 3
    measure: 'lag_s'
    aggregation: 'Maximum'
    operator: 'GreaterThan'
    threshold: syncLagWarningS
    every: 'PT15M'
    over: 'PT30M'
    dimension: 'connection_id'
  }
  {
    name: 'maintenance-stopped'
    essential: true
    description: 'The timer has not completed a run; nothing is delivered later, synchronised or refreshed.'
    query: loadTextContent('../queries/alerts/maintenance-stopped.kql')
    severity: 1
    measure: 'runs'
    aggregation: 'Total'
    operator: 'LessThan'
    threshold: 1
    every: 'PT5M'
    over: 'PT15M'
    dimension: ''
  }
  {
    name: 'connection-not-served'
    essential: true
    description: 'Connections have had no turn for a quarter of an hour: no instance of the app serves them, or their turns fail, or there are more than the app gets through.'
    query: loadTextContent('../queries/alerts/connection-not-served.kql')
    severity: 2
    measure: 'connections'
    aggregation: 'Total'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT5M'
    over: 'PT15M'
    dimension: ''
  }
  {
    name: 'messages-poisoned'
    essential: true
    description: 'An instance of the app failed several times at the same message, which is now in a poison queue; the timer sends its work again.'
    query: loadTextContent('../queries/alerts/messages-poisoned.kql')
    severity: 2
    measure: 'messages'
    aggregation: 'Total'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT5M'
    over: 'PT15M'
    dimension: ''
    endsByItself: false
  }
  {
    name: 'tenant-not-read'
    essential: false
    description: 'A Microsoft 365 tenant has not been read for two days; its recommendations are that old.'
    query: loadTextContent('../queries/alerts/tenant-not-read.kql')
    severity: 2
    measure: 'unread_s'
    aggregation: 'Maximum'
    operator: 'GreaterThan'
    threshold: 172800
    every: 'PT1H'
    over: 'PT6H'
    dimension: 'tenant_id'
  }
  {
    name: 'server-errors'
    essential: false
    description: 'Requests are answered with 5xx.'
    query: loadTextContent('../queries/alerts/server-errors.kql')
    severity: 2
    measure: 'errors'
    aggregation: 'Total'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT5M'
    over: 'PT15M'
    dimension: ''
  }
  {
    name: 'throttled'
    essential: false
    description: 'ServiceNow keeps asking to slow down; a rate limit rule there may be too tight.'
    query: loadTextContent('../queries/alerts/throttled.kql')
    severity: 3
    measure: 'answers'
    aggregation: 'Total'
    operator: 'GreaterThan'
    threshold: 10
    every: 'PT15M'
    over: 'PT1H'
    dimension: 'connection_id'
  }
  {
    name: 'token-requests-failing'
    essential: false
    description: 'Requests for an access token fail; a connection stops working when its present token ends, within half an hour.'
    query: loadTextContent('../queries/alerts/token-requests-failing.kql')
    severity: 2
    measure: 'failures'
    aggregation: 'Total'
    operator: 'GreaterThan'
    threshold: 2
    every: 'PT5M'
    over: 'PT30M'
    dimension: 'connection_id'
  }
]

type rule = {
  name: string
  @description('Whether tickets no longer get through to ServiceNow, or changes from it, until somebody acts.')
  essential: bool
  description: string
  query: string
  @description('0 critical, 1 error, 2 warning, 3 informational.')
  severity: 0 | 1 | 2 | 3
  @description('Column of the query\'s result that is compared with the threshold.')
  measure: string
  aggregation: 'Minimum' | 'Maximum' | 'Total'
  operator: 'LessThan' | 'GreaterThan'
  threshold: int
  every: string
  over: string
  @description('Column of the result of which each value raises its own alert; empty for one alert.')
  dimension: '' | 'connection_id' | 'tenant_id'
  @description('Whether the alert ends once the query finds nothing more; if it does not, a person ends it. Default: true.')
  endsByItself: bool?
}

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = { name: applicationInsightsName }

resource recipients 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(emailAddresses)) {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'SN tickets'
    emailReceivers: [
      for emailAddress in emailAddresses: {
        name: emailAddress
        emailAddress: emailAddress
        useCommonAlertSchema: true
      }
    ]
  }
}

resource alertRules 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for rule in filter(rules, rule => rule.essential || !essentialOnly): {
    name: '${rulePrefix}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.name
      description: rule.description
      enabled: true
      severity: rule.severity
      scopes: [applicationInsights.id]
      evaluationFrequency: rule.every
      windowSize: rule.over
      autoMitigate: rule.?endsByItself ?? true
      muteActionsDuration: rule.?endsByItself ?? true ? null : rule.over // one e-mail for each event
      criteria: {
        allOf: [
          {
            query: rule.query
            metricMeasureColumn: rule.measure
            timeAggregation: rule.aggregation
            operator: rule.operator
            threshold: rule.threshold
            dimensions: empty(rule.dimension) ? [] : [{ name: rule.dimension, operator: 'Include', values: ['*'] }]
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: empty(emailAddresses) ? [] : [recipients.id] }
    }
  }
]
