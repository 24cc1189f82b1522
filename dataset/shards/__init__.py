"""TFRecord shards: records, their index, writing, splits."""
