"""Instruments applied to swaps: figures, clips, studies."""
