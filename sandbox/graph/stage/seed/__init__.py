"""The tenants that a simulator begins with."""
