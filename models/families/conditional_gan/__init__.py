"""Conditional GAN: one autoencoder for many people, told by a label whom to show."""
