"""Evidence: what happened to each recommendation and ticket, kept for auditors."""
