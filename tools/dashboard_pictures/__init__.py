"""Pictures of the dashboards for the documentation; see `__main__`."""
