"""The product: turns Microsoft 365 security recommendations into ServiceNow tickets and follows their state."""
