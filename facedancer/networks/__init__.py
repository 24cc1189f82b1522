"""What networks are made of and fed, whichever folder they stand in."""
