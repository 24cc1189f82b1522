"""The swapping programs: images, videos, provenance."""
