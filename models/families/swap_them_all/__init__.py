"""Swap-them-all and its second version, few-shot face translation."""

__all__ = ["config"]
