"""One poll of one outbound, and when it happens."""
