"""A swapped crop back into its picture: masks, colours, pasting."""

__all__ = ["colour_transfer", "mask_kinds", "masks", "paste", "pixel_aspect"]
