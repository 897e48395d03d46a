"""Published snapshots as the bytes of a scrape."""
