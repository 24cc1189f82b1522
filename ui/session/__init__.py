"""What the page does, without the page: sessions, swaps, reports, runs."""
