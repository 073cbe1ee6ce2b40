"""The world around the product, on one machine: ServiceNow, Key Vault, managed identity, storage, a Functions host.

Each part runs as its own process and speaks the protocol of the service that it replaces. The product sees no
difference and never imports anything from here.
"""
