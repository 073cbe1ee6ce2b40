"""Names of a connection's secrets in Key Vault.

A connection id consists of lower-case letters, digits and hyphens, which Key Vault allows. Each name ends in exactly
one of the suffixes, and none of them ends in another one, so no two connections share a name.
"""

from __future__ import annotations


def client_secret_name(connection_id: str) -> str:
    """Return the name of the OAuth client's secret."""
    return f"servicenow-{connection_id}-client-secret"


def refresh_token_name(connection_id: str) -> str:
    """Return the name of the refresh token."""
    return f"servicenow-{connection_id}-refresh-token"


def access_token_name(connection_id: str) -> str:
    """Return the name of the access token."""
    return f"servicenow-{connection_id}-access-token"


def teams_address_name(connection_id: str) -> str:
    """Return the name of the address of the Teams workflow that receives reminders."""
    return f"servicenow-{connection_id}-teams-address"


def webhook_address_name(connection_id: str) -> str:
    """Return the name of the address of the program that receives reminders."""
    return f"servicenow-{connection_id}-webhook-address"


def signing_secret_name(connection_id: str) -> str:
    """Return the name of the secret that reminders to a program are signed with."""
    return f"servicenow-{connection_id}-signing-secret"
