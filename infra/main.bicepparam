using 'main.bicep'

// Change these. azd up takes the first from its environment.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'tickets')
param networkMode = 'public'
param alertEmailAddresses = []
param administratorObjectIds = []

// Storage accounts have it from their creation or never: leave this line out for accounts that were made without it.
param infrastructureEncryption = true

// Shown on every page beside the product's name: tell the test system from the real one.
param shownEnvironmentName = ''

// A release's package for the deployment to install, such as
// PACKAGE_URL='https://github.com/<owner>/<repository>/releases/download/<tag>/released-package.zip'
var release = readEnvironmentVariable('PACKAGE_URL', '')
param packageUrl = release

// The documentation of what runs: that of the release, or of what you publish yourself.
var documentation = readEnvironmentVariable('DOCUMENTATION_URL', '')
param documentationUrl = empty(documentation) && startsWith(release, 'https://github.com/')
  ? replace(replace(release, '/releases/download/', '/tree/'), '/released-package.zip', '/docs')
  : documentation
