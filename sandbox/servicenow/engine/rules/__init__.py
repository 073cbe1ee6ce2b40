"""What an instance allows, and what it does to a written record."""
