"""Photos to aligned crops, to shards, to batches of pairs."""
