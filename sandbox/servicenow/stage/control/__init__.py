"""Both ends of the simulator's own API under `/control`."""
