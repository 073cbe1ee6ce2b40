"""The simulator's own API under `/control`, both ends of it."""
