"""How faceswap-GAN learns: its system, its terms, its numbers."""
