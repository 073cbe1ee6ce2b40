"""HTTP in, domain call, HTTP out; and the timer."""
