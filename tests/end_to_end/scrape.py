"""One scrape of an exporter, read back with prometheus_client's own parser."""

from collections.abc import Mapping

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.support.patience import PATIENT

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

Series = tuple[str, frozenset[tuple[str, str]]]


class Scrape:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.types = {}
        self.samples: dict[Series, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self.types[sample.name] = family.type
                self.samples[sample.name, frozenset(sample.labels.items())] = sample.value

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.samples}

    def value(self, name: str, **labels: str) -> float | None:
        """The sum of the samples that bear these labels, None if there are none."""
        wanted = set(labels.items())
        values = [
            value for (each, its), value in self.samples.items() if each == name and its >= wanted
        ]
        return sum(values) if values else None

    def by_label(self, name: str, label: str) -> Mapping[str, float]:
        return {
            dict(labels).get(label, ""): value
            for (each, labels), value in self.samples.items()
            if each == name
        }

    @property
    def counters(self) -> dict[Series, float]:
        """Everything that must never fall."""
        return {
            series: value
            for series, value in self.samples.items()
            if self.types[series[0]] in ("counter", "histogram") and series[0].startswith("pearl_")
        }


def scrape(url: str, accept: str = OPENMETRICS) -> str:
    answer = httpx.get(f"{url}/metrics", headers={"Accept": accept}, **PATIENT)
    assert answer.status_code == 200
    return answer.text
