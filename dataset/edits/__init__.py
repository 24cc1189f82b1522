"""Edits of photos whose right answer is known: parts, occluders, swapped faces."""

__all__ = ["swaps"]
