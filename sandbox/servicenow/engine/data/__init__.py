"""What an instance stores, and how to query it."""
