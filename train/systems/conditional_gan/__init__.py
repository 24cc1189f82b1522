"""How the conditional GAN learns: its system, its formulas, its numbers."""
