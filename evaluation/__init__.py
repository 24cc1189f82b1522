"""How good is a swap? Identity, pose, expression, realism, flicker; reports."""

__all__ = ["api"]
