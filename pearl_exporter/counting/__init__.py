"""What a call is, when it settles, and how often it counts. Pure."""
