"""What is seen in the browser: tabs, their events, what may be loaded."""
