"""Charts and maps of a report."""
