"""The Defender portal, as far as links lead to it (Microsoft Graph §7)."""
