"""Shards to batches of pairs and triplets."""

__all__ = [
    "pair_reader",
    "pairs",
    "photo_plan",
    "readers",
    "sampling",
    "triplet_reader",
]
