"""Photos found, searched and aligned."""
