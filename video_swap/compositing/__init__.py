"""A swapped crop back into its picture: masks, colours, pasting."""
