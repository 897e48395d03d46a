"""HTTP requests to exporter and simulator, and scrapes read back from their text."""

import json
import re
import urllib.request
from collections.abc import Mapping
from typing import Any

TEXT = "text/plain;version=0.0.4"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def fetch(url: str, body: Any = None, *, accept: str = "*/*", seconds: float = 60) -> str:
    """Return the text of an answer.

    Args:
        url: What is requested.
        body: Sent by POST as JSON. None makes a GET.
        accept: The ``Accept`` header.
        seconds: The timeout.

    Raises:
        OSError: No answer, or one whose status is an error.
    """
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Accept": accept}
    request = urllib.request.Request(url, data, headers)
    with urllib.request.urlopen(request, timeout=seconds) as answer:
        text: str = answer.read().decode()
    return text


def sums_by_outbound(text: str, name: str) -> dict[str, float]:
    """Return the values of one metric of a scrape, summed by outbound ("" without that label).

    This reads one metric only, which is much faster than a whole `Scrape`.
    """
    found: dict[str, float] = {}
    lines = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
    for labels, value in lines:
        outbound = re.search(r'outbound="([^"]*)"', labels)
        key = outbound[1] if outbound else ""
        found[key] = found.get(key, 0.0) + float(value)
    return found


class Scrape:
    """One scrape, in either format.

    Attributes:
        samples: Values by series, a series as it is written in the text.
        counters: The series that must never fall: counters and histograms of ``pearl_`` metrics.
    """

    def __init__(self, text: str) -> None:
        self.samples: dict[str, float] = {}
        self.counters: set[str] = set()
        kinds: dict[str, str] = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                kinds[name] = kind
            elif line and not line.startswith("#"):
                # what follows " # " is an exemplar
                series, _, value = line.partition(" # ")[0].rpartition(" ")
                self.samples[series] = float(value)
                if series.startswith("pearl_") and _is_counter(series.partition("{")[0], kinds):
                    self.counters.add(series)

    def by_outbound(self, name: str) -> dict[str, float]:
        """Return the values of one metric, summed by outbound ("" without that label)."""
        found: dict[str, float] = {}
        for series, value in self.samples.items():
            if series == name or series.startswith(f"{name}{{"):
                outbound = label_value(series, "outbound")
                found[outbound] = found.get(outbound, 0.0) + value
        return found

    def by_label(self, name: str, outbound: str, label: str) -> dict[str, float]:
        """Return the values of one metric of one outbound by one of its other labels.

        With ``label`` "" the one series of the outbound has the key "".
        """
        return {
            label_value(series, label) if label else "": value
            for series, value in self.samples.items()
            if series.startswith(f"{name}{{") and label_value(series, "outbound") == outbound
        }

    def total(self, name: str) -> float:
        """Return the sum of all series of one metric."""
        return sum(self.by_outbound(name).values())


def _is_counter(name: str, kinds: Mapping[str, str]) -> bool:
    # the text format names the type by the sample, OpenMetrics by the family
    family = name.removesuffix("_total")
    if kinds.get(name) == "counter" or kinds.get(family) == "counter":
        return True
    return any(
        name.endswith(suffix) and kinds.get(name.removesuffix(suffix)) == "histogram"
        for suffix in ("_bucket", "_count", "_sum")
    )


def label_value(series: str, label: str) -> str:
    r"""Return the value of a label of a series, unescaped (``\\``, ``\"``, ``\n``)."""
    _, found, rest = series.partition(f'{label}="')
    if not found:
        return ""
    value, escaped = [], False
    for character in rest:
        if escaped:
            value.append({"n": "\n"}.get(character, character))
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            break
        else:
            value.append(character)
    return "".join(value)
