"""The web pages of an instance, for people with a browser."""
