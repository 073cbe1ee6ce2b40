"""What tests and demonstrations turn: records to begin with, faults, the control API and its clients."""
