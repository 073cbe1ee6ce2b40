"""What an instance begins with. Everything follows from constants, so that every instance begins alike."""
