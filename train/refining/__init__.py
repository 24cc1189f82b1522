"""The training of a face refiner."""
