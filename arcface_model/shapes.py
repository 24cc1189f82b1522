"""Shapes of encoders that settings name; reading them needs no network library."""

BLOCKS = (5, 7, 3)  # of each stage of MobileFaceNet, as published
