"""Layers and their forms."""
