"""Who sees which customer. A customer is a connection with its tenants; it may be limited to groups and programs."""
