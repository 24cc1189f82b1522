"""MobileFSGAN (Yu et al. 2022): a small swapper with three output sizes."""

__all__ = ["config"]
