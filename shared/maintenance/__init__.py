"""What the timer does each minute, by itself or through other instances of the app."""
