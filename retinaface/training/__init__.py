"""Scenes, labels and losses a detector is trained with."""
