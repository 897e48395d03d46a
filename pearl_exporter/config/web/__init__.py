"""The web configuration file: TLS, basic auth and headers, as exporter-toolkit has them."""
