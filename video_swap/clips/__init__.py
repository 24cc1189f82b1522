"""A whole clip: stages side by side, tracks, segments, report."""

__all__ = ["examining", "people"]
