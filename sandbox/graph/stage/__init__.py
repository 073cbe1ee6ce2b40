"""What a test or a demonstration turns: first tenants, faults, the request record and the control API."""
