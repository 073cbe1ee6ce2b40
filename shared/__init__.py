"""The product: Microsoft 365 security recommendations as ServiceNow tickets, and their state back."""
