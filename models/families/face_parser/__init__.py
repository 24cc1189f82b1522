"""The face parser: which part of a face, or what else, every pixel of a crop shows."""

__all__ = ["config", "loading", "network", "parser", "portable_parser"]
