"""One update, on one replica or many."""
