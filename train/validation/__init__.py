"""What a run is judged by while it trains."""
