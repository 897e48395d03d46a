"""Makes the Grafana dashboards: `make dashboards` writes them to `deploy/grafana/dashboards`.

`queries` knows the metrics, `panels` how a panel looks, `dashboard` what all dashboards share;
`overview`, `outbound` and `exporter` are the three dashboards.
"""
