"""The systems that can be trained: one file and one line in this table for each."""

from facedancer.train.systems.base import Phase, System
from facedancer.train.systems.facedancer import FaceDancer

SYSTEMS: dict[str, type[System]] = {one.name: one for one in (FaceDancer,)}

__all__ = ["SYSTEMS", "FaceDancer", "Phase", "System"]
