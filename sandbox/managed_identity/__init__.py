"""The endpoint that gives an app on App Service or Functions access tokens for its managed identity."""
