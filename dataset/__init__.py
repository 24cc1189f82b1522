"""Photos to aligned crops, to shards, to batches of pairs."""

__all__ = ["api"]
