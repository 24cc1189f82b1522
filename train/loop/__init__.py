"""When to log, save, validate and stop; devices."""
