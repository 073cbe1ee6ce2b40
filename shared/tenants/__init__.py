"""A Microsoft 365 tenant: what it is, and how it is reached."""
