"""Photos found, searched and aligned."""

__all__ = ["quality"]
