"""What an instance stores, and how it is asked for."""
