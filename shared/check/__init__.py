"""The connection check: looks at a connection and its tickets, so it may import both."""
