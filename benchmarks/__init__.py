"""Measures the figures that the design promises and compares each with its goal; one module for each part."""
