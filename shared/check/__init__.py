"""The connection check: looks at a connection and its tickets, from above both."""
