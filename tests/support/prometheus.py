"""A real Prometheus that scrapes every second, and its HTTP API."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.patience import PATIENT
from tests.support.programs import debian_program, eventually, running

Labels = frozenset[tuple[str, str]]


class Prometheus:
    """What it has stored, over HTTP."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, **PATIENT)

    def ask(self, path: str, **asked: str | float) -> Any:
        answer = self._http.post(path, data={key: str(value) for key, value in asked.items()})
        told = answer.json()
        assert told["status"] == "success", told
        return told["data"]

    def own_metrics(self) -> str:
        return self._http.get("/metrics").text

    def targets(self) -> list[dict[str, Any]]:
        """The targets that it scrapes, with their health and last error."""
        # this path takes no POST, which `ask` sends
        told = self._http.get("/api/v1/targets").json()
        found: list[dict[str, Any]] = told["data"]["activeTargets"]
        return found

    def values(self, query: str) -> dict[Labels, float]:
        """The instant vector of a query as of now, by label set."""
        found = self.ask("/api/v1/query", query=query)["result"]
        return {labels_of(each["metric"]): float(each["value"][1]) for each in found}

    def value(self, query: str) -> float | None:
        """The one value of a query, None if it has none."""
        values = list(self.values(query).values())
        assert len(values) <= 1, f"{query} has {len(values)} values"
        return values[0] if values else None

    def history(self, selector: str, seconds: int) -> dict[Labels, dict[float, float]]:
        """The samples as they were scraped, by label set and by the scrape's time."""
        found = self.ask("/api/v1/query", query=f"{selector}[{seconds}s]")["result"]
        return {
            labels_of(each["metric"]): {at: float(value) for at, value in each["values"]}
            for each in found
        }

    def close(self) -> None:
        self._http.close()


def labels_of(labels: Mapping[str, str]) -> Labels:
    """A label set without where it was scraped, so that two targets can be compared."""
    return frozenset((name, value) for name, value in labels.items() if name != "instance")


@contextmanager
def prometheus(
    folder: Path,
    targets: Mapping[str, str],
    *flags: str,
    every: str = "1s",
    more: Mapping[str, Any] | None = None,
) -> Iterator[Prometheus]:
    """Scrapes each target, a ``host:port`` by its job, from now until the block ends.

    ``more`` is further configuration, such as rules.
    """
    folder.mkdir(parents=True)
    jobs = [
        {"job_name": job, "static_configs": [{"targets": [target]}]}
        for job, target in targets.items()
    ]
    timing = {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every}
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"global": timing, "scrape_configs": jobs, **(more or {})}))
    command = [
        debian_program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        *flags,
    ]
    with running(command, folder) as process:
        address = process.says('"Listening on"').rpartition("address=")[2].split()[0]
        process.says("Server is ready to receive web requests")
        server = Prometheus(f"http://{address}")
        try:
            yield server
        finally:
            server.close()


def first_scrape(server: Prometheus, job: str) -> None:
    """Waits until a target was scraped well."""
    eventually(lambda: server.value(f'up{{job="{job}"}}'), what=f"a scrape of {job}")
