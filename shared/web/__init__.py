"""What pages consist of: templates, translations and static files, and how they are put together."""
