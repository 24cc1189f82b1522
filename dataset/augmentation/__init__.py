"""Changes of photos while they are read: colour, distortion, occlusion."""

__all__ = ["colour", "photo_changes"]
