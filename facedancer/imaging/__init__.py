"""Images: formats, colours, values, photos as Python gives them."""
