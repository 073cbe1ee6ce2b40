using '../../../infra/main.bicep'

param environmentName = 'contoso'
param networkMode = 'private'
param networkAddressPrefix = '10.20.30.0/25'
param alertEmailAddresses = []
param administratorObjectIds = []
param grantSecureScoreReading = true
