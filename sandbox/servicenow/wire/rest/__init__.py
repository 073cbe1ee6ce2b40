"""The REST APIs of an instance."""
