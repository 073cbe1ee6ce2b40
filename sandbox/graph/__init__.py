"""Microsoft Graph as far as the connector uses it: the Secure Score of several tenants, under a clock of their own."""
