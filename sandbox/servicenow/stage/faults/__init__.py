"""Bad days on demand: a fault waits for requests and answers them as an instance in trouble does."""
