using '../../../infra/main.bicep'

param environmentName = 'contoso'
param networkMode = 'public'
param alertEmailAddresses = ['operations@contoso.com']
param administratorObjectIds = ['11111111-1111-1111-1111-111111111111']
param infrastructureEncryption = true
