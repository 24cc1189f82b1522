"""Weights that the package carries; `facedancer.weights` is their catalogue."""
