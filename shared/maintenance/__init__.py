"""What the timer does each minute."""
