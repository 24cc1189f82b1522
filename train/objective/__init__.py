"""Losses, their sums and weights."""
