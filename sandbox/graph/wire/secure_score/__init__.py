"""The Secure Score API (Microsoft Graph §1)."""
