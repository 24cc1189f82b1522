"""Networks as portable files, and the runtimes that compute them."""
