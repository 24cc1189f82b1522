"""Files of the published format: read by their structure, written again."""

__all__ = ["reading"]
