"""Faces drawn by a program, for tests and demonstrations."""
