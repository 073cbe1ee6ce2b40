"""Microsoft Entra ID, as far as an application meets it: tenants, applications, and the token endpoint.

It is a package of its own, beside the simulated Microsoft Graph, because it issues what Graph only checks, and because
a tenant's consent is changed here, whoever is asked with the token.
"""
