"""What grows with an answer: how fast it grows, and how long the event loop is held by it."""
