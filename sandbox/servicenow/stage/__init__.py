"""The controls for tests and demonstrations: first records, faults, the control API and its clients."""
