"""One folder a family of networks."""

__all__ = ["built_network", "projected_heads"]
