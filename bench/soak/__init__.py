"""A long run with faults on, watched for whatever grows.

.venv/bin/python -m bench.soak --minutes 30 --outbounds 300

`__main__` runs it; `lab` starts exporter and simulated API; `exporter` is the exporter that tells
what it holds; `troubles` is what goes wrong when; `scraping` looks at every scrape; `samples` is
what the kernel says; `figures` reckons, `verdict` judges, `page` writes. In the end `equality`
compares the windows with the truth, and `reckoning` the counters, with what `fates` says of calls.
"""
