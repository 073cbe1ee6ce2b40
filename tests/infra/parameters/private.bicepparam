using '../../../infra/main.bicep'

param environmentName = 'contoso'
param networkMode = 'private'
param networkAddressPrefix = '10.20.30.0/25'
param alertEmailAddresses = []
param administratorObjectIds = []
param grantSecureScoreReading = true
param routeTableId = '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/hub/providers/Microsoft.Network/routeTables/firewall'
param ddosProtectionPlanId = '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/hub/providers/Microsoft.Network/ddosProtectionPlans/company'
param infrastructureEncryption = true
