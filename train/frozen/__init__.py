"""Networks that only look on while others train."""
