"""The benchmarks: `python -m bench`, or `make bench`. See README.md beside this file."""
