"""Faults on demand: a fault waits for matching requests and answers them as an instance in trouble does."""
