"""What Graph answers over HTTP."""
