"""Changes of photos while they are read: colour, distortion, occlusion."""
