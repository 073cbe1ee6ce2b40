"""What an instance allows, and what it does to a record that is written."""
