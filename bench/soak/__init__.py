"""A long run of the exporter with faults on: `make soak`. It fails if anything grows or is wrong.

`__main__` runs it and decides. `environment` starts exporter and simulated API, `configuration` is
what both are given, `fault_schedule` is what fails when. `scrape_monitor` and `resource_samples`
watch the exporter, `trend` and `limits` judge what grows, `report` writes the page.

In the end all that was published is compared with the truth. `window_check` compares each window
with the simulator. `instrumented_exporter` records what each poll has read (`recorded_polls`):
`row_check` compares these rows with the simulated calls, and `counter_check` every counter with the
oracle of the tests, recounted from these rows.

Beside the soak: `kills`, `reloads` and `fault_injection`, each with a command of its own.
"""
