"""What a small encoder is shown of a photo."""
