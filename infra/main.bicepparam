using 'main.bicep'

// Change these. azd up takes the first from its environment.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'tickets')
param networkMode = 'public'
param alertEmailAddresses = []
param administratorObjectIds = []

// Storage accounts have it from their creation or never: leave this line out for accounts that were made without it.
param infrastructureEncryption = true

// A release's package for the deployment to install, such as
// PACKAGE_URL='https://github.com/<owner>/<repository>/releases/download/<tag>/released-package.zip'
param packageUrl = readEnvironmentVariable('PACKAGE_URL', '')
