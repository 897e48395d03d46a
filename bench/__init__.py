"""The benchmarks; README.md in this folder says how to run them and what they measure.

`cost` measures what the exporter costs, `soak` whether it stays right and grows nowhere under
faults, `alerts` how good the alert rules are. `support` is what they share.
"""
