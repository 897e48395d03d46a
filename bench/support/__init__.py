"""What the benchmarks share: processes, the simulated API, scrapes, tables and plots."""
