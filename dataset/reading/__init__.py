"""Shards to batches of pairs and triplets."""
