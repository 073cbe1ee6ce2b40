"""The controls that Microsoft knows, with the texts that the sandbox wrote for them."""
