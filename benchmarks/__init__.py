"""Measures the figures that the design promises, each beside its goal; a module for each part."""
