"""How swap-them-all learns: its systems, its terms, its numbers."""
