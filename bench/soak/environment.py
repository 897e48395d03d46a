"""The exporter and the simulated API of a soak, as real processes."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.soak.configuration import VARIANTS, workload_of, write_config, write_tokens
from bench.support.processes import free_port, running
from bench.support.scrape import fetch, sums_by_outbound
from bench.support.simulated_api import SimulatedApi, Workload, simulated_api


@dataclass
class Environment:
    """What runs during a soak.

    Attributes:
        folder: Where its files are.
        workload: The simulated outbounds.
        api: The simulated API.
        exporter: The process of `bench.soak.instrumented_exporter`.
        port: Where the exporter listens.
        tokens_written: How often the token files were replaced.
    """

    folder: Path
    workload: Workload
    api: SimulatedApi
    exporter: subprocess.Popen[str]
    port: int
    tokens_written: int = 0

    @property
    def url(self) -> str:
        """The exporter's base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def state(self) -> Path:
        """The exporter's state file."""
        return self.folder / "state.db"

    @property
    def log(self) -> Path:
        """The exporter's log."""
        return self.folder / "exporter.log"

    @property
    def recorded_polls(self) -> Path:
        """The file to which the exporter writes what its polls have read."""
        return self.folder / "polls.jsonl"

    @property
    def ids_by_name(self) -> dict[str, str]:
        """The outbounds' ids by their names."""
        return {f"outbound-{number}": id_ for number, id_ in enumerate(self.api.outbounds, 1)}

    def replace_tokens(self) -> None:
        """Write another token into each token file."""
        self.tokens_written += 1
        write_tokens(self.folder, self.tokens_written)

    def reload(self, number: int) -> None:
        """Reload the exporter with a variant of the configuration, 0 being the first one."""
        write_config(self.folder, self.api, self.port, number % VARIANTS)
        self.exporter.send_signal(signal.SIGHUP)


@contextmanager
def soak_environment(outbounds: int, folder: Path) -> Iterator[Environment]:
    """Run exporter and API until the block ends. The API's clock stands still at first."""
    workload = workload_of(outbounds)
    with ExitStack() as stack:
        api = stack.enter_context(simulated_api(workload, int(time.time() * 1000)))
        # calls were generated meanwhile, which takes seconds
        api.set_time(int(time.time() * 1000))
        port = free_port()
        write_tokens(folder, 0)
        config = write_config(folder, api, port, 0)
        module = (sys.executable, "-m", "bench.soak.instrumented_exporter")
        command = (*module, str(folder / "polls.jsonl"), "serve", "--config", str(config))
        exporter = stack.enter_context(running(*command, log=folder / "exporter.log"))
        yield Environment(folder, workload, api, exporter, port)


def wait_until_ready(environment: Environment, seconds: float = 180.0) -> None:
    """Wait until every outbound was polled successfully.

    Raises:
        TimeoutError: It takes longer than ``seconds``.
        RuntimeError: The exporter ended.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            text = fetch(f"{environment.url}/metrics")
            up = sums_by_outbound(text, "pearl_outbound_up")
            if up and all(up.values()):
                return
        except OSError:
            if environment.exporter.poll() is not None:
                log = environment.log.read_text()
                raise RuntimeError(f"the exporter ended: {log[-2000:]}") from None
        time.sleep(0.5)
    raise TimeoutError(f"not every outbound was polled within {seconds:g} s")
