"""The first records of an instance. They all follow from constants, so that every instance begins alike."""
