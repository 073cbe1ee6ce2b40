metadata description = 'Installs a release\'s package from an address. Every deployment with an address installs it again.'

param functionAppName string

@description('HTTPS address of the package, with a signature if it is not public.')
@secure()
param packageUrl string

resource app 'Microsoft.Web/sites@2025-03-01' existing = { name: functionAppName }

// Flex Consumption §D1, §D9
resource package 'Microsoft.Web/sites/extensions@2025-03-01' = {
  parent: app
  name: 'onedeploy'
  // The compiler knows the extension, but not what it takes.
  #disable-next-line BCP187
  properties: {
    packageUri: packageUrl
    // The package holds its dependencies (Flex Consumption §D6). A build would need a package registry, and time.
    remoteBuild: false
  }
}
