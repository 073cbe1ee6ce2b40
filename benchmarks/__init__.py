"""Measures the figures that the design promises, each beside its goal."""
