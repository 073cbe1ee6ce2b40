"""The endpoint from which an app on App Service or Functions gets access tokens for its managed identity."""
