"""Pictures as they are worked on: whole RGB, or the planes of a video."""

__all__ = ["picture"]
