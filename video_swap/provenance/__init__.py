"""What says that a picture was made: signatures, labels, watermark, keys."""
