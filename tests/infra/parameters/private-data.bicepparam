using '../../../infra/main.bicep'

param environmentName = 'contoso'
param networkMode = 'privateData'
param alertEmailAddresses = ['operations@contoso.com']
param administratorObjectIds = []
param routeTableId = '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/hub/providers/Microsoft.Network/routeTables/firewall'
param ddosProtectionPlanId = '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/hub/providers/Microsoft.Network/ddosProtectionPlans/company'
param infrastructureEncryption = true
