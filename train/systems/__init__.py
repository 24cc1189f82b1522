"""The systems that can be trained: one file, and one line in `SYSTEMS`, for each."""

from facedancer.train.systems.table import SYSTEMS

__all__ = ["SYSTEMS"]
