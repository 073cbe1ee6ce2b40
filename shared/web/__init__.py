"""What pages are made of: templates, translations, static files, and how they come together."""
