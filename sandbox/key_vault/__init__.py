"""Azure Key Vault's secrets as a client sees them: TLS, challenge, versions, soft delete, throttling."""
