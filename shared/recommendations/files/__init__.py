"""Files that people export from Microsoft's portals: bytes in, a reading out, or a refusal with the reason."""
