"""Scrapes of a soak: what each must fulfil, and scrapers who are no good company."""

import socket
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

ACCEPT = {
    "text": "text/plain;version=0.0.4",
    "openmetrics": "application/openmetrics-text;version=1.0.0",
}
_PARTS = (
    "pearl_calls_total",
    "pearl_live_calls",
    "pearl_pending_calls",
    "pearl_calls_uncounted_total",
)
DATA = "pearl_outbound_data_timestamp_seconds"
_STARTED = "pearl_calls_started_total"
_OF_POLLS = "pearl_exporter_"
_FALLS_TOLD = 5


class Scrape:
    """One scrape: its samples by series, as they stand there, and which of them only grow."""

    def __init__(self, text: str) -> None:
        self.samples: dict[str, float] = {}
        self.growing: set[str] = set()
        kinds: dict[str, str] = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                kinds[name] = kind
            elif line and not line.startswith("#"):
                series, _, value = line.partition(" # ")[0].rpartition(" ")
                self.samples[series] = float(value)
                if series.startswith("pearl_") and _grows(series.partition("{")[0], kinds):
                    self.growing.add(series)

    def by_outbound(self, name: str) -> dict[str, float]:
        """The values of one metric, summed by outbound ("" where there is none)."""
        found: dict[str, float] = {}
        for series, value in self.samples.items():
            if series == name or series.startswith(f"{name}{{"):
                outbound = label(series, "outbound")
                found[outbound] = found.get(outbound, 0.0) + value
        return found

    def by_label(self, name: str, outbound: str, key: str) -> dict[str, float]:
        """The values of one metric of one outbound by one of its labels ("" without a key)."""
        return {
            label(series, key) if key else "": value
            for series, value in self.samples.items()
            if series.startswith(f"{name}{{") and label(series, "outbound") == outbound
        }

    def total(self, name: str) -> float:
        """The sum over all series of one metric."""
        return sum(self.by_outbound(name).values())


def _grows(name: str, kinds: Mapping[str, str]) -> bool:
    family = name.removesuffix("_total")
    if kinds.get(name) == "counter" or kinds.get(family) == "counter":
        return True
    for suffix in ("_bucket", "_count", "_sum"):
        if name.endswith(suffix) and kinds.get(name.removesuffix(suffix)) == "histogram":
            return True
    return False


def label(series: str, key: str) -> str:
    """The value of a label as it stands there, escapes undone."""
    _, found, rest = series.partition(f'{key}="')
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


@dataclass
class Watch:
    """Looks at every scrape: no counter falls, every call that started is somewhere."""

    faults: list[str] = field(default_factory=list)
    scrapes: int = 0
    balances: int = 0
    """How many outbounds' sums were compared."""
    failed: int = 0
    slowest_seconds: float = 0.0
    last: Scrape | None = None
    gaps: dict[str, float] = field(default_factory=dict)
    """At most so many seconds were between two good polls, by outbound."""
    _moments: dict[str, float] = field(default_factory=dict)
    _seen: dict[str, float] = field(default_factory=dict)

    def __call__(self, scrape: Scrape) -> None:
        """Takes a scrape that came after all before it."""
        self.scrapes += 1
        self.last = scrape
        for outbound, moment in scrape.by_outbound(DATA).items():
            before = self._moments.get(outbound, moment)
            self.gaps[outbound] = max(self.gaps.get(outbound, 0.0), moment - before)
            self._moments[outbound] = moment
        fallen = [
            f"{series}: {self._seen[series]:g} -> {scrape.samples[series]:g}"
            for series in scrape.growing
            if scrape.samples[series] < self._seen.get(series, 0.0)
        ]
        self.faults += fallen[:_FALLS_TOLD]
        # What is counted of calls outlasts an outbound that is taken out and put back; how often it
        # was polled does not.
        gone = {each for each in self._seen.keys() - scrape.growing if each.startswith(_OF_POLLS)}
        for series in gone:
            del self._seen[series]
        self._seen.update((series, scrape.samples[series]) for series in scrape.growing)
        parts = {name: scrape.by_outbound(name) for name in _PARTS}
        for outbound, started in scrape.by_outbound(_STARTED).items():
            if outbound not in parts["pearl_live_calls"]:
                continue  # stale, or never read
            self.balances += 1
            found = sum(values.get(outbound, 0.0) for values in parts.values())
            if found != started:
                self.faults.append(f"{outbound}: {started:g} started, {found:g} found")


def fetch(url: str, kind: str, seconds: float = 15.0) -> str:
    """One scrape as Prometheus makes it. Raises OSError if none comes."""
    asked = urllib.request.Request(f"{url}/metrics", headers={"Accept": ACCEPT[kind]})
    with urllib.request.urlopen(asked, timeout=seconds) as answer:
        text: str = answer.read().decode()
    return text


class BadCompany:
    """Clients that read slowly, or connect and say nothing, again and again, in threads."""

    def __init__(self, port: int, *, slow: int, silent: int) -> None:
        self.ended = Counter[str]()
        self._port = port
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(kind,), daemon=True)
            for kind in ["slow"] * slow + ["silent"] * silent
        ]

    def begin(self) -> None:
        """They come."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """They go."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(15)

    def _repeat(self, kind: str) -> None:
        while not self._is_over.wait(5.0):
            try:
                with self._connected() as sock:
                    if kind == "slow":
                        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: soak\r\n\r\n")
                    self._read_slowly(sock)
            except OSError:
                pass
            self.ended[kind] += 1

    def _connected(self) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(1.0)
        sock.connect(("127.0.0.1", self._port))
        return sock

    def _read_slowly(self, sock: socket.socket) -> None:
        while not self._is_over.is_set():
            try:
                if not sock.recv(512):
                    return
            except TimeoutError:
                continue
            time.sleep(0.5)
