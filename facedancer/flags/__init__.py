"""Settings: what each may be, read from a command line, shown by `--help`."""
