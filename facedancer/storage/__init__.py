"""Files: written whole or not at all, read without trust; the weights catalogue."""
