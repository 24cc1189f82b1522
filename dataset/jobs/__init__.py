"""What programs over a folder share: workers, report, contact sheets."""
