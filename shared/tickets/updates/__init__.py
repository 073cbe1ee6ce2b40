"""Updates: what the connector changes in ServiceNow after a ticket was created."""
