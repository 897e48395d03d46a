"""How good the alert rules are: a simulated month, labelled, through a real Prometheus.

`__main__` runs it. A `scenario` is a month of outbounds with incidents. `closed_form` counts its
calls as the exporter does, `exposition` turns the counts into scrapes, `rules` and `prometheus`
evaluate the rules over them, and `evaluation` compares what fired with the incidents. `pipeline`
joins these steps, `report` and `details` show the result.

Beside it: `rule_engine_check` compares this way of evaluating rules with Prometheus' own rule
engine, `false_alarm_rate` and `detection_limit` simulate what any test of a share can do, and
`alert_delay` measures an alert in real time, to its notification.
"""
