using 'main.bicep'

// Change these. azd up takes the first from its environment.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'tickets')
param networkMode = 'public'
param alertEmailAddresses = []
param administratorObjectIds = []
