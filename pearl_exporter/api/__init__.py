"""The NLPearl API client. No other package knows httpx."""
