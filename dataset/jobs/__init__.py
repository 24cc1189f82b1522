"""What programs over a folder share: workers, report, contact sheets."""

__all__ = ["report"]
