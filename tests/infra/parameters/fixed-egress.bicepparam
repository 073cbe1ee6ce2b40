using '../../../infra/main.bicep'

param environmentName = 'contoso'
param networkMode = 'fixedEgress'
param alertEmailAddresses = ['operations@contoso.com', 'security@contoso.com']
param administratorObjectIds = []
param infrastructureEncryption = true
