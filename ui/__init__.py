"""The page in a browser: swap, verify, look at reports and at trainings."""
