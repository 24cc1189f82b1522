"""Generators and discriminators, published files, the fused form, export."""
