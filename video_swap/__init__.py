"""The swapping programs: images, videos, provenance."""

__all__ = ["api", "api_embed", "api_results", "settings"]
