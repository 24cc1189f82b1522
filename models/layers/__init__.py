"""Layers and their forms."""

__all__ = ["scalar_norm", "synchronized"]
