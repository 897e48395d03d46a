"""Programs that write or check files of `deploy/` and `docs/`, and THIRD_PARTY.md.

`dashboards` writes the Grafana dashboards, `dashboard_schema` checks them against Grafana's types,
and `dashboard_pictures` draws them. `grafana_requests` are the requests that Grafana sends for a
panel. `third_party` writes the list of third-party packages.
"""
