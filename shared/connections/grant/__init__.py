"""The consent of the integration user, and the tokens that come of it."""
