"""The face parser: which part of a face, or what else, every pixel of a crop shows."""
