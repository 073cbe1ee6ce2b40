"""What Microsoft recommends: the model, reading it, its tickets."""
