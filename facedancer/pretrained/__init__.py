"""Weights that the package carries; `facedancer.storage.weights` is their catalogue."""
