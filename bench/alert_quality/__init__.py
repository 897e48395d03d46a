"""How good are the alerts? Days of simulated outbounds, labelled, through a real Prometheus."""
