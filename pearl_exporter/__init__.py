"""pearl-exporter: a Prometheus exporter for the outbound calls of NLPearl.AI."""

__version__ = "0.1.0"
