"""What a connection to a ServiceNow instance is, how it is authorized, and how its tokens are kept fresh."""
