"""A program while it runs: its progress, how it is stopped, who helps it."""
