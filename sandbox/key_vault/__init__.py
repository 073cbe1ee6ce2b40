"""Azure Key Vault's secrets, as far as a client can see them: TLS, challenge, versions, soft delete, throttling."""
