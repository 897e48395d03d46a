"""Where counters and tracked calls are kept between polls and over restarts."""
