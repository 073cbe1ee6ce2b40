"""What needs a person: one list over connections, their tickets and tenants, so it may import all of them."""
