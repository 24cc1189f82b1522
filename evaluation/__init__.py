"""Measures of a face swapper."""
