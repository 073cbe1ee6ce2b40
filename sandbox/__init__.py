"""The world around the product, on one machine: ServiceNow, Key Vault, managed identity, storage, a Functions host.

Each part is a process of its own and speaks the protocol of what it stands for; the product sees no difference
and never imports anything from here.
"""
