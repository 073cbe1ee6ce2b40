"""The consent of the integration user, and the tokens that it gives us."""
