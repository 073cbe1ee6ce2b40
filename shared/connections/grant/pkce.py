"""Proof Key for Code Exchange (RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import secrets


def new_code_verifier() -> str:
    """Return a new verifier: 86 characters that need no encoding in a form or a cookie (RFC 7636, 4.1)."""
    return secrets.token_urlsafe(64)


def code_challenge(verifier: str) -> str:
    """Return the PKCE challenge of a verifier, method S256 (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
