"""Who is swapped with whom, and a frame with its faces swapped."""

__all__ = ["feeds", "identities", "networks", "swapper"]
