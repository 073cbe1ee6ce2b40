"""All customers at a glance: one row for each, read from the directory and the tenants' rows, never by asking each."""
