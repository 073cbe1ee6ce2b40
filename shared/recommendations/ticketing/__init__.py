"""Tickets made from recommendations, one or several at once, and one open ticket for each."""
