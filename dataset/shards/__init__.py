"""TFRecord shards: records, their index, writing, splits."""

__all__ = ["records", "shard_index", "splits"]
