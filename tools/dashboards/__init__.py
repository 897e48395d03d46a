"""The Grafana dashboards as code: `make dashboards` writes them to `deploy/grafana/dashboards`.

`campaign_overview`, `outbound_detail` and `exporter_health` are the three dashboards.
`*_panels` and `outbound_table` are their rows, `panels` and `tables` are how a panel looks,
`queries` and `promql` are what it asks, and `layout` is what all dashboards share.
"""
