"""faceswap-GAN v2.2: one encoder, a decoder for each of two people."""

__all__ = ["generator"]
