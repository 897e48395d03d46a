"""What the exporter costs in requests, CPU, memory and delay: `make bench`.

Each figure stands beside that of a naive exporter and of a lower bound, both measured in the same
run. `runs` makes each run once; the other modules turn runs into tables and plots.
"""
