"""Names of a connection's three secrets in Key Vault.

A connection id consists of lower-case letters, digits and hyphens, which Key Vault allows. Each name ends in exactly
one of three suffixes, so no two connections share a name.
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
