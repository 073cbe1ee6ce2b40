"""Microsoft's texts: shown as safe HTML, or sent as plain text."""
