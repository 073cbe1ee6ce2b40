using '../../../infra/main.bicep'

// Every parameter that has a default, set to something else: nothing may be ignored.
param environmentName = 'contoso'
param location = 'japaneast'
param networkMode = 'fixedEgress'
param networkAddressPrefix = '192.168.8.0/25'
param routeTableId = '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/hub/providers/Microsoft.Network/routeTables/firewall'
param ddosProtectionPlanId = '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/hub/providers/Microsoft.Network/ddosProtectionPlans/company'
param customHostName = 'tickets.contoso.com'
param existingClientId = '99999999-9999-9999-9999-999999999999'
param callerClientIds = ['88888888-8888-8888-8888-888888888888']
param alertEmailAddresses = ['operations@contoso.com']
param alertLevel = 'essential'
param allowedServiceNowHosts = ['servicenow.contoso.com', 'itsm.contoso.com']
param allowedWebhookHosts = ['hooks.contoso.local']
param microsoft365Cloud = 'usGovernment'
param grantSecureScoreReading = true
param customerTenants = true
param maintainSchedule = '30 */2 * * * *'
param syncIntervalS = 600
param secretLifetimeDays = 30
param reconcileAt = '17:30'
param verifyAfterH = 72
param verifyAfterEntraDays = 10
param verifyAfterTeamsDays = 40
param regressionQuietDays = 14
param evidenceRetentionDays = 2555
param consentWarningDays = 30
param pendingWarningAgeS = 7200
param mappingStorageSku = 'Standard_GZRS'
param infrastructureEncryption = true
param maximumInstanceCount = 60
param logRetentionDays = 365
param openTelemetry = true
param shownEnvironmentName = 'Test'
param documentationUrl = 'https://github.com/contoso/tickets/tree/v1.2.0/docs'
param packageUrl = 'https://packages.contoso.com/1.2.0/released-package.zip?sig=signature'
param keyVaultRoleId = '77777777-7777-7777-7777-777777777777'
param keyVaultCreateMode = 'recover'
param nameSuffix = 'second'
param tags = { department: 'security' }
