"""Photos with parsed faces, varied, for the training of a face parser."""
