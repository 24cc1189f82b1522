"""One folder a family of networks."""
