"""Graph on a bad day (Microsoft Graph §S, 19)."""
