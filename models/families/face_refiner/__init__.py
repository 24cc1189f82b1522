"""The face refiner: a swapped face at the target's resolution, with its detail."""

__all__ = [
    "config",
    "discriminator",
    "loading",
    "network",
    "portable_refiner",
    "refiner",
]
