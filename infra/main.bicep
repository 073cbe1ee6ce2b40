metadata name = 'ServiceNow tickets for Microsoft 365'
metadata description = 'Everything the connector needs in one resource group. docs/deployment.md leads through it.'

import { forwardProxyHeaders } from 'modules/configuration.bicep'
import { resourceNames } from 'modules/resource-names.bicep'
import { accessControl } from 'modules/service-now-access-control.bicep'

@description('Short name of this deployment; part of every resource name.')
@minLength(2)
@maxLength(20)
param environmentName string

param location string = resourceGroup().location

@description('''
How the app reaches ServiceNow and its own storage:
public - by the platform's own addresses, which change;
fixedEgress - through a virtual network with one fixed address to allow in ServiceNow, storage and Key Vault closed to all others;
privateData - as fixedEgress, and storage and Key Vault are reachable through private endpoints only;
private - as privateData, and the app and telemetry are reachable through private endpoints only, too.
''')
param networkMode 'public' | 'fixedEgress' | 'privateData' | 'private' = 'public'

@description('Address range of the virtual network, /25 or larger. Not used in public mode.')
param networkAddressPrefix string = '10.80.0.0/24'

@description('Id of the route table for both subnets, such as one that leads to a company firewall. Not used in public mode.')
param routeTableId string = ''

@description('Id of the DDoS protection plan of the virtual network. Whoever deploys needs the right to join it. Not used in public mode.')
param ddosProtectionPlanId string = ''

@description('Custom host name that people use, already bound to the app; empty for the name Azure gives it.')
param customHostName string = ''

@description('Client id of an app registration made with scripts/register_application.py. If empty, this deployment makes one.')
param existingClientId string = ''

@description('Name by which a later deployment finds the app registration; unique in the tenant. Deleting the registration does not free the name.')
param applicationUniqueName string = 'servicenow-tickets-${environmentName}-${nameSuffix}'

@description('Object ids of people who get every app role. Used only if this deployment makes the app registration.')
param administratorObjectIds string[] = []

@description('Client ids of other applications that may call the API with their own app roles.')
param callerClientIds string[] = []

@description('E-mail addresses for alerts. Without any, the rules raise alerts only in the portal.')
param alertEmailAddresses string[] = []

@description('Which alert rules are made: none, those after which tickets no longer get through, or all. Azure bills each rule.')
param alertLevel 'none' | 'essential' | 'all' = 'all'

@description('ServiceNow hosts outside service-now.com and servicenowservices.com that connections may use.')
param allowedServiceNowHosts string[] = []

@description('Hosts in private networks to which reminders may be sent.')
param allowedWebhookHosts string[] = []

@description('Microsoft\'s cloud for governments or the global one, GCC included. China has no Secure Score.')
param microsoft365Cloud 'global' | 'usGovernment' | 'usGovernmentDoD' = 'global'

@description('Whether this deployment lets the app read the Secure Score of its own tenant. Needs the Graph permission AppRoleAssignment.ReadWrite.All.')
param grantSecureScoreReading bool = false

@description('Whether this deployment makes the app registration that customers\' tenants consent to, so that the app can read their Secure Score, too.')
param customerTenants bool = false

@description('Client id of such a registration that exists. If empty and this deployment makes none, the app reads its own tenant only.')
param existingCustomerTenantsClientId string = ''

@description('When the timer runs: seconds, minutes, hours, day, month, day of the week.')
param maintainSchedule string = '0 * * * * *'

@description('Seconds between two synchronisations of a connection.')
@minValue(30)
@maxValue(86400)
param syncIntervalS int = 60

@description('Days for which a secret in Key Vault is valid, at most what Azure policies allow. The app renews it in time.')
@minValue(1)
@maxValue(3650)
param secretLifetimeDays int = 90

@description('Time of day, UTC, of the complete comparison with ServiceNow.')
param reconcileAt string = '02:00'

@description('Hours after the closing of a ticket before a measurement without full points counts as not fixed.')
@minValue(1)
@maxValue(2160)
param verifyAfterH int = 48

@description('The same in days, for recommendations of Entra ID.')
@minValue(1)
@maxValue(90)
param verifyAfterEntraDays int = 8

@description('The same in days, for recommendations of Microsoft Teams.')
@minValue(1)
@maxValue(90)
param verifyAfterTeamsDays int = 32

@description('Days after a fix was verified before the connector says that it has regressed.')
@minValue(0)
@maxValue(90)
param regressionQuietDays int = 7

@description('Days for which the evidence of tickets and recommendations is kept.')
@minValue(30)
@maxValue(3650)
param evidenceRetentionDays int = 1095

@description('Days before the end of a consent when warnings begin.')
@minValue(1)
param consentWarningDays int = 14

@description('Age in seconds at which a ticket that has not reached ServiceNow raises an alert.')
@minValue(60)
param pendingWarningAgeS int = 1800

@description('Redundancy of the ticket mappings: three zones, Standard_LRS where the region has no zones, or a second region.')
param mappingStorageSku 'Standard_LRS' | 'Standard_ZRS' | 'Standard_GRS' | 'Standard_GZRS' = 'Standard_ZRS'

@description('Whether storage is encrypted twice, and tables and queues with the key of their account. Only for storage accounts that are created with it: Azure refuses to add it later.')
param infrastructureEncryption bool = false

@description('Maximum number of instances of the web functions. The default is the smallest value Azure accepts. It limits neither the load nor the cost of a flood.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Days for which logs, metrics and traces are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('Whether OpenTelemetry records metrics and traces. Requires the packages of requirements-telemetry.txt to be published.')
param openTelemetry bool = false

@description('HTTPS address of a release\'s released-package.zip, which the deployment installs; with a signature if the file is not public. Empty to publish yourself.')
@secure()
param packageUrl string = ''

@description('Name of this environment, such as Test, which pages show beside the product\'s name. Empty for the only one.')
@maxLength(40)
param shownEnvironmentName string = ''

@description('HTTPS address of the documentation of what runs here, for the link on every page: the folder docs of a tag or a commit. Empty for no link.')
param documentationUrl string = ''

@description('Id of the app\'s role on the key vault: Key Vault Secrets Officer, or your own role made from infra/roles.')
param keyVaultRoleId string = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'

@description('Set to recover for one deployment to bring back the deleted key vault of this name with its secrets.')
param keyVaultCreateMode 'default' | 'recover' = 'default'

@description('Makes names unique. Choose another value if names are still taken after a deletion.')
@minLength(5)
@maxLength(13)
param nameSuffix string = uniqueString(resourceGroup().id, environmentName)

param tags object = {}

@description('Names of your own for single resources. Each resource that is left out gets a name from environmentName and nameSuffix.')
param names resourceNames = {}

@description('Resource id of a user-assigned identity for the app. If empty, this deployment makes one.')
param existingIdentityId string = ''

@description('Whether this deployment gives the app\'s identity its roles. If not, somebody assigns what the output neededRoles lists.')
param assignRoles bool = true

@description('Resource id of a subnet for the app\'s outbound traffic, delegated to Microsoft.App/environments. With it, this deployment makes no network.')
param existingApplicationSubnetId string = ''

@description('Resource id of a subnet for private endpoints. Goes with existingApplicationSubnetId.')
param existingPrivateEndpointSubnetId string = ''

@description('Whether this deployment makes the private DNS zones that privateDnsZoneIds does not name, and links them to the network.')
param createDnsZones bool = true

@description('Resource ids of private DNS zones that exist, such as those of a hub, by the name of the zone.')
param privateDnsZoneIds { *: string } = {}

@description('Resource id of a Log Analytics workspace for logs, metrics and traces. If empty, this deployment makes one.')
param existingWorkspaceId string = ''

@description('Resource id of a key vault that holds nothing else. If empty, this deployment makes one.')
param existingKeyVaultId string = ''

@description('Addresses, or ranges such as 203.0.113.8/29, of a company firewall through which the app leaves. With them, this deployment makes no NAT gateway and no public address.')
param egressAddresses string[] = []

@description('The headers in which a gateway in front of the app, such as Azure Front Door, passes on the host name that people use.')
param forwardProxy forwardProxyHeaders = { convention: 'NoProxy' }

@description('What App Service Authentication proves itself with: the managed identity through a federated credential, or a client secret in the key vault.')
param signInCredential 'managedIdentity' | 'keyVaultSecret' = 'managedIdentity'

@description('Name of the secret in the key vault that holds the client secret of the app registration. Used only with keyVaultSecret.')
@minLength(1)
@maxLength(127)
param signInSecretName string = 'sign-in-client-secret'

var name = '${environmentName}-${nameSuffix}'
var functionAppName = names.?functionApp ?? 'func-${name}'
var resourceName = {
  identity: names.?identity ?? 'id-${name}'
  network: names.?network ?? 'vnet-${name}'
  publicIpAddress: names.?publicIpAddress ?? 'pip-${name}'
  natGateway: names.?natGateway ?? 'ng-${name}'
  applicationSubnet: names.?applicationSubnet ?? 'application'
  applicationSecurityGroup: names.?applicationSecurityGroup ?? 'nsg-${name}-application'
  privateEndpointSubnet: names.?privateEndpointSubnet ?? 'private-endpoints'
  privateEndpointSecurityGroup: names.?privateEndpointSecurityGroup ?? 'nsg-${name}-private-endpoints'
  workspace: names.?workspace ?? 'log-${name}'
  applicationInsights: names.?applicationInsights ?? 'appi-${name}'
  privateLinkScope: names.?privateLinkScope ?? 'ampls-${name}'
  hostStorage: names.?hostStorage ?? 'sthost${nameSuffix}'
  mappingStorage: names.?mappingStorage ?? 'stmap${nameSuffix}'
  keyVault: empty(existingKeyVaultId) ? names.?keyVault ?? 'kv-${nameSuffix}' : last(split(existingKeyVaultId, '/'))
  plan: names.?plan ?? 'plan-${functionAppName}'
  actionGroup: names.?actionGroup ?? 'ag-${name}'
  alertRulePrefix: names.?alertRulePrefix ?? name
}

var allTags = union(tags, { 'azd-env-name': environmentName })
var isPrivate = networkMode == 'private'
var isDataPrivate = networkMode == 'privateData' || isPrivate
var publicNetworkAccess = isPrivate ? 'Disabled' : 'Enabled'
var packageContainerName = 'packages'
var maintainQueueName = 'maintain-connections'
var readQueueName = 'read-tenants'
var hasNetwork = networkMode != 'public'
  ? true
  : empty(existingApplicationSubnetId) && empty(egressAddresses)
      ? false
      : fail('In public mode the app uses no network: existingApplicationSubnetId and egressAddresses need another networkMode')
var makesNetwork = hasNetwork && empty(existingApplicationSubnetId)
var networkId = makesNetwork
  ? resourceId('Microsoft.Network/virtualNetworks', resourceName.network)
  : split(existingApplicationSubnetId, '/subnets/')[0]
var applicationSubnetId = makesNetwork
  ? '${networkId}/subnets/${resourceName.applicationSubnet}'
  : existingApplicationSubnetId
var privateEndpointSubnetId = isDataPrivate && empty(existingApplicationSubnetId) != empty(existingPrivateEndpointSubnetId)
  ? fail('With private endpoints, existingApplicationSubnetId and existingPrivateEndpointSubnetId go together')
  : makesNetwork ? '${networkId}/subnets/${resourceName.privateEndpointSubnet}' : existingPrivateEndpointSubnetId
var dataAccess = {
  publicNetworkAccess: isDataPrivate ? 'Disabled' : 'Enabled'
  subnetId: networkMode == 'fixedEgress' ? applicationSubnetId : null
}
var keyVaultId = empty(existingKeyVaultId)
  ? resourceId('Microsoft.KeyVault/vaults', resourceName.keyVault)
  : existingKeyVaultId
var identityId = empty(existingIdentityId)
  ? resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', resourceName.identity)
  : existingIdentityId
var publicHostName = forwardProxy.convention != 'NoProxy' && empty(customHostName)
  ? fail('forwardProxy needs customHostName: the name that people use in front of the gateway')
  : customHostName

module identity 'modules/identity.bicep' = {
  params: { name: resourceName.identity, existingId: existingIdentityId, location: location, tags: allTags }
}

module network 'modules/network.bicep' = if (makesNetwork) {
  params: {
    names: resourceName
    location: location
    tags: allTags
    addressPrefix: networkAddressPrefix
    serviceEndpoints: !isDataPrivate
    routeTableId: routeTableId
    ddosProtectionPlanId: ddosProtectionPlanId
    natGateway: empty(egressAddresses)
  }
}

module monitoring 'modules/monitoring.bicep' = {
  params: {
    workspaceName: resourceName.workspace
    existingWorkspaceId: existingWorkspaceId
    applicationInsightsName: resourceName.applicationInsights
    location: location
    tags: allTags
    retentionInDays: logRetentionDays
    publicNetworkAccessForIngestion: publicNetworkAccess
  }
}

module hostStorage 'modules/storage-account.bicep' = {
  params: {
    name: resourceName.hostStorage
    location: location
    tags: allTags
    // Holds the package, the timers' leases and messages; the next publish and the next run create them again.
    sku: 'Standard_LRS'
    access: dataAccess
    infrastructureEncryption: infrastructureEncryption
    containerNames: [packageContainerName]
    // Messages are hints about what the tables say; a lost one is sent again.
    queueNames: [maintainQueueName, readQueueName]
    workspaceId: monitoring.outputs.workspaceId
  }
  dependsOn: [network]
}

module mappingStorage 'modules/storage-account.bicep' = {
  params: {
    name: resourceName.mappingStorage
    location: location
    tags: allTags
    sku: mappingStorageSku
    access: dataAccess
    infrastructureEncryption: infrastructureEncryption
    workspaceId: monitoring.outputs.workspaceId
    tableNames: [
      'connections'
      'authorizations'
      'tickets'
      'idempotency'
      'directory'
      'tenants'
      'recommendations'
      'evidence'
    ]
  }
  dependsOn: [network]
}

module keyVault 'modules/key-vault.bicep' = if (empty(existingKeyVaultId)) {
  params: {
    name: resourceName.keyVault
    location: location
    tags: allTags
    access: dataAccess
    createMode: keyVaultCreateMode
    workspaceId: monitoring.outputs.workspaceId
  }
  dependsOn: [network]
}

module roles 'modules/roles.bicep' = {
  params: {
    assign: assignRoles
    identityId: identityId
    hostStorageName: resourceName.hostStorage
    mappingStorageName: resourceName.mappingStorage
    keyVaultId: keyVaultId
    keyVaultRoleId: keyVaultRoleId
    applicationInsightsName: resourceName.applicationInsights
  }
  dependsOn: [identity, hostStorage, mappingStorage, keyVault, monitoring]
}

module functionApp 'modules/function-app.bicep' = {
  params: {
    name: functionAppName
    location: location
    tags: allTags
    planName: resourceName.plan
    applicationInsightsId: monitoring.outputs.applicationInsightsId
    identityId: identityId
    readsKeyVaultReferences: signInCredential == 'keyVaultSecret'
    packageContainerUrl: '${hostStorage.outputs.blobUrl}${packageContainerName}'
    maximumInstanceCount: maximumInstanceCount
    publicNetworkAccess: publicNetworkAccess
    subnetId: hasNetwork ? applicationSubnetId : null
  }
  // The app reads its package and its timers' leases as soon as it starts.
  dependsOn: [roles, network]
}

module signIn 'modules/sign-in.bicep' = if (empty(existingClientId)) {
  params: {
    uniqueName: applicationUniqueName
    hostNames: empty(publicHostName) ? [functionApp.outputs.hostName] : [functionApp.outputs.hostName, publicHostName]
    federatedCredential: signInCredential == 'managedIdentity'
    identityPrincipalId: identity.outputs.principalId
    administratorObjectIds: administratorObjectIds
  }
}

module graphPermission 'modules/graph-permission.bicep' = if (grantSecureScoreReading) {
  params: { identityPrincipalId: identity.outputs.principalId }
}

module customers 'modules/customer-tenants.bicep' = if (customerTenants) {
  params: {
    uniqueName: '${applicationUniqueName}-customer-tenants'
    hostNames: empty(publicHostName) ? [functionApp.outputs.hostName] : [functionApp.outputs.hostName, publicHostName]
    identityPrincipalId: identity.outputs.principalId
  }
}

// Microsoft Graph §3.4
var microsoft365Addresses = {
  global: { graph: 'https://graph.microsoft.com', securityPortal: 'https://security.microsoft.com' }
  usGovernment: { graph: 'https://graph.microsoft.us', securityPortal: 'https://security.microsoft.us' }
  usGovernmentDoD: { graph: 'https://dod-graph.microsoft.us', securityPortal: 'https://security.apps.mil' }
}

var openTelemetrySettings = {
  PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY: 'true'
  AzureFunctionsJobHost__telemetryMode: 'OpenTelemetry'
}

var keyVaultUrl = keyVault.?outputs.url ?? 'https://${resourceName.keyVault}${environment().suffixes.keyvaultDns}/'
var knownEgressAddresses = empty(egressAddresses) ? network.?outputs.egressAddress ?? '' : join(egressAddresses, ',')
var signInSettingNames = {
  managedIdentity: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
  keyVaultSecret: 'MICROSOFT_PROVIDER_AUTHENTICATION_SECRET'
}

module configuration 'modules/configuration.bicep' = {
  params: {
    functionAppName: functionAppName
    clientId: signIn.?outputs.clientId ?? existingClientId
    credentialSettingName: signInSettingNames[signInCredential]
    callerClientIds: callerClientIds
    forwardProxy: forwardProxy
    settings: union(openTelemetry ? openTelemetrySettings : {}, {
      PUBLIC_BASE_URL: 'https://${empty(publicHostName) ? functionApp.outputs.hostName : publicHostName}'
      KEY_VAULT_URL: keyVaultUrl
      TABLES_URL: mappingStorage.outputs.tableUrl
      AZURE_CLIENT_ID: identity.outputs.clientId
      MAINTAIN_SCHEDULE: maintainSchedule
      MAINTAIN_QUEUE: maintainQueueName
      READ_QUEUE: readQueueName
      // The host and its scale controller read all three of the section WorkQueue (Storage Queue §C2, §C3), the app the address.
      WorkQueue__queueServiceUri: hostStorage.outputs.queueUrl
      WorkQueue__credential: 'managedidentity'
      WorkQueue__clientId: identity.outputs.clientId
      SYNC_INTERVAL_S: string(syncIntervalS)
      SECRET_LIFETIME_DAYS: string(secretLifetimeDays)
      RECONCILE_AT: reconcileAt
      VERIFY_AFTER_H: string(verifyAfterH)
      VERIFY_AFTER_ENTRA_DAYS: string(verifyAfterEntraDays)
      VERIFY_AFTER_TEAMS_DAYS: string(verifyAfterTeamsDays)
      REGRESSION_QUIET_DAYS: string(regressionQuietDays)
      EVIDENCE_RETENTION_DAYS: string(evidenceRetentionDays)
      ALLOWED_SERVICENOW_HOSTS: join(allowedServiceNowHosts, ',')
      ALLOWED_WEBHOOK_HOSTS: join(allowedWebhookHosts, ',')
      ALLOW_LOOPBACK_HTTP: 'false'
      GRAPH_URL: microsoft365Addresses[microsoft365Cloud].graph
      GRAPH_CLIENT_ID: customers.?outputs.clientId ?? existingCustomerTenantsClientId
      // A managed identity proves a registration in its own cloud only (Microsoft Graph §2.5).
      AUTHORITY_URL: environment().authentication.loginEndpoint
      SECURITY_PORTAL_URL: microsoft365Addresses[microsoft365Cloud].securityPortal
      REACHABLE_FROM_INTERNET: isPrivate ? 'false' : 'true'
      EGRESS_ADDRESSES: knownEgressAddresses
      ENVIRONMENT_NAME: shownEnvironmentName
      DOCUMENTATION_URL: documentationUrl
      // Else pydantic reads the description of every installed package, at each start, in search of plugins.
      PYDANTIC_DISABLE_PLUGINS: '__all__'
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identity.outputs.clientId
      AzureWebJobsStorage__blobServiceUri: hostStorage.outputs.blobUrl
      APPLICATIONINSIGHTS_CONNECTION_STRING: monitoring.outputs.connectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.outputs.clientId};Authorization=AAD'
      '${signInSettingNames[signInCredential]}': signInCredential == 'managedIdentity'
        ? identity.outputs.clientId
        : '@Microsoft.KeyVault(SecretUri=${keyVaultUrl}secrets/${signInSecretName})'
    })
  }
}

module monitoringPrivateLink 'modules/monitoring-private-link.bicep' = if (isPrivate) {
  params: {
    name: resourceName.privateLinkScope
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
    applicationInsightsId: monitoring.outputs.applicationInsightsId
  }
}

// Names of the global cloud: no function returns them, and other clouds have different ones.
#disable-next-line no-hardcoded-env-urls
var blobZone = 'privatelink.blob.core.windows.net'
// As above.
#disable-next-line no-hardcoded-env-urls
var queueZone = 'privatelink.queue.core.windows.net'
// As above.
#disable-next-line no-hardcoded-env-urls
var tableZone = 'privatelink.table.core.windows.net'
var dataEndpoints = [
  {
    name: names.?hostStoragePrivateEndpoint ?? 'pe-${name}-host-storage'
    targetId: resourceId('Microsoft.Storage/storageAccounts', resourceName.hostStorage)
    groupId: 'blob'
    zoneNames: [blobZone]
  }
  {
    name: names.?hostQueuesPrivateEndpoint ?? 'pe-${name}-host-queues'
    targetId: resourceId('Microsoft.Storage/storageAccounts', resourceName.hostStorage)
    groupId: 'queue'
    zoneNames: [queueZone]
  }
  {
    name: names.?mappingStoragePrivateEndpoint ?? 'pe-${name}-mapping-storage'
    targetId: resourceId('Microsoft.Storage/storageAccounts', resourceName.mappingStorage)
    groupId: 'table'
    zoneNames: [tableZone]
  }
  {
    name: names.?keyVaultPrivateEndpoint ?? 'pe-${name}-key-vault'
    targetId: keyVaultId
    groupId: 'vault'
    zoneNames: ['privatelink.vaultcore.azure.net']
  }
]
var appEndpoints = [
  {
    name: names.?functionAppPrivateEndpoint ?? 'pe-${name}-function-app'
    targetId: resourceId('Microsoft.Web/sites', functionAppName)
    groupId: 'sites'
    zoneNames: ['privatelink.azurewebsites.net']
  }
  {
    name: names.?monitoringPrivateEndpoint ?? 'pe-${name}-monitoring'
    targetId: resourceId('Microsoft.Insights/privateLinkScopes', resourceName.privateLinkScope)
    groupId: 'azuremonitor'
    zoneNames: [
      'privatelink.monitor.azure.com'
      'privatelink.oms.opinsights.azure.com'
      'privatelink.ods.opinsights.azure.com'
      'privatelink.agentsvc.azure-automation.net'
      blobZone
    ]
  }
]
var privateEndpoints = concat(isDataPrivate ? dataEndpoints : [], isPrivate ? appEndpoints : [])

var zoneNames = union(flatten(map(privateEndpoints, endpoint => endpoint.zoneNames)), [])
var ownZoneNames = createDnsZones ? filter(zoneNames, zoneName => !contains(privateDnsZoneIds, zoneName)) : []
var zoneIds = union(
  toObject(ownZoneNames, zoneName => zoneName, zoneName => resourceId('Microsoft.Network/privateDnsZones', zoneName)),
  privateDnsZoneIds
)

module privateDnsZones 'modules/private-dns-zones.bicep' = if (!empty(ownZoneNames)) {
  params: {
    zoneNames: ownZoneNames
    networkId: networkId
    tags: allTags
  }
  dependsOn: [network]
}

module privateEndpoint 'modules/private-endpoint.bicep' = [
  for endpoint in privateEndpoints: {
    params: {
      name: endpoint.name
      location: location
      tags: allTags
      subnetId: privateEndpointSubnetId
      targetId: endpoint.targetId
      groupId: endpoint.groupId
      zoneIds: map(filter(endpoint.zoneNames, zoneName => contains(zoneIds, zoneName)), zoneName => zoneIds[zoneName])
    }
    dependsOn: [
      network
      hostStorage
      mappingStorage
      keyVault
      functionApp
      monitoringPrivateLink
      privateDnsZones
    ]
  }
]

module package 'modules/package.bicep' = if (!empty(packageUrl)) {
  params: { functionAppName: functionAppName, packageUrl: packageUrl }
  // The package goes into the host's storage, and the app starts from there at once, with its settings (Flex Consumption §D8).
  dependsOn: [configuration, privateEndpoint]
}

module alerts 'modules/alerts.bicep' = if (alertLevel != 'none') {
  params: {
    actionGroupName: resourceName.actionGroup
    rulePrefix: resourceName.alertRulePrefix
    location: location
    tags: allTags
    applicationInsightsName: resourceName.applicationInsights
    emailAddresses: alertEmailAddresses
    essentialOnly: alertLevel == 'essential'
    consentWarningDays: consentWarningDays
    pendingWarningAgeS: pendingWarningAgeS
    syncLagWarningS: max(900, 4 * syncIntervalS)
  }
  dependsOn: [monitoring]
}

module workbook 'modules/workbook.bicep' = {
  params: {
    location: location
    tags: allTags
    applicationInsightsName: resourceName.applicationInsights
  }
  dependsOn: [monitoring]
}

@description('Pass to func azure functionapp publish.')
output functionAppName string = functionApp.outputs.name

@description('Where people open the pages and clients call the API.')
output baseUrl string = configuration.outputs.baseUrl

@description('Host name for scripts/register_application.py.')
output hostName string = functionApp.outputs.hostName

@description('Principal id for scripts/register_application.py.')
output identityPrincipalId string = identity.outputs.principalId

@description('Client id of the app registration, for which clients request tokens.')
output clientId string = signIn.?outputs.clientId ?? existingClientId

@description('Enter as redirect URL in ServiceNow\'s OAuth client.')
output serviceNowRedirectUrl string = '${configuration.outputs.baseUrl}/api/oauth/callback'

@description('The addresses from which the app calls ServiceNow, separated by commas; empty if they are not fixed or not known here.')
output egressAddress string = knownEgressAddresses

@description('What to enter in ServiceNow under System Security > IP Address Access Control.')
output serviceNowAccessControl string = !hasNetwork
  ? 'No fixed address in this network mode: ServiceNow cannot be closed to all but this app.'
  : !empty(egressAddresses)
      ? accessControl(egressAddresses)
      : makesNetwork
          ? network!.outputs.accessControlRule
          : 'The network of your own decides from which address the app calls. Name the addresses in egressAddresses.'

@description('Every role that the app\'s identity needs. If assignRoles is false, assign them before you publish.')
output neededRoles array = roles.outputs.needed

output keyVaultName string = resourceName.keyVault
output mappingStorageName string = mappingStorage.outputs.name
output hostStorageName string = hostStorage.outputs.name
output workbookId string = workbook.outputs.id
