"""What a ticket is and what happens to it: created, delivered to ServiceNow, synchronised, reconciled."""
