"""Runs a soak and judges it: exit code 0 if nothing grew and nothing was wrong, 1 if not.

make soak
.venv/bin/python -m bench.soak --minutes 10 --outbounds 100
"""

import argparse
import queue
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench.processes import Others, progress
from bench.soak.equality import differences, stand_still
from bench.soak.lab import INTERVAL_SECONDS, Lab, lab_of, wait_until_ready
from bench.soak.page import Soak, grown, write
from bench.soak.reckoning import Reckoned, reckon
from bench.soak.samples import Inside, Sample, look
from bench.soak.scraping import BadCompany, Scrape, Watch, fetch
from bench.soak.troubles import ALWAYS, CYCLES, Timetable, set_faults

SAMPLE_SECONDS = 10.0
SCRAPE_SECONDS = 15.0
_CALM_SECONDS = 60.0
_LEAST_SAMPLES = 30


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--outbounds", type=int, default=300)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "results")
    given = parser.parse_args()
    others = Others()
    with tempfile.TemporaryDirectory(prefix="pearl-soak-") as folder:
        progress(f"making {given.outbounds} outbounds")
        with lab_of(given.outbounds, Path(folder)) as lab:
            soak = run(lab, given.minutes, others)
    print(write(soak, given.output))
    sys.exit(1 if grown(soak) or soak.faults else 0)


def run(lab: Lab, minutes: float, others: Others) -> Soak:
    """The whole of it, with both processes there."""
    seconds = minutes * 60
    wait_until_ready(lab)
    # until here the API's time stood still, so what the first polls saw is known to the row
    lab.api.set_time(int(time.time() * 1000), running=True)
    set_faults(lab, *ALWAYS)
    watch, timetable, errors = Watch(), Timetable(lab), list[str]()
    company = BadCompany(lab.port, slow=4, silent=2)
    is_over = threading.Event()
    threads = [
        _thread(errors, lambda: timetable.run(seconds)),
        _thread(errors, lambda: _scrape(lab, watch, is_over)),
    ]
    company.begin()
    samples = _sample(lab, seconds)
    timetable.end()
    company.end()
    is_over.set()
    for thread in threads:
        thread.join(120)
    set_faults(lab)
    lab.reload(0)
    progress("faults off; comparing with the truth")
    time.sleep(min(_CALM_SECONDS, seconds / 10))
    differing, compared = _compare(lab, watch)
    return Soak(
        minutes=minutes,
        outbounds=len(lab.api.outbounds),
        warm_up=seconds / CYCLES,
        samples=samples,
        troubles=timetable.met,
        faults=[*watch.faults, *errors, *differing, *_log_faults(lab)],
        counts=_counts(lab, watch, timetable, company, samples)
        | compared
        | {"processor time that others took meanwhile": f"{others.share():.0%} of all cores"},
    )


def _thread(errors: list[str], work: object) -> threading.Thread:
    def run() -> None:
        try:
            work()  # type: ignore[operator]
        except Exception as error:  # noqa: BLE001 - told at the end, with all else
            errors.append(f"the soak itself failed: {type(error).__name__}: {error}")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _sample(lab: Lab, seconds: float) -> list[Sample]:
    inside, began = Inside(lab.exporter), time.monotonic()
    pause = min(SAMPLE_SECONDS, seconds / _LEAST_SAMPLES)
    samples: list[Sample] = []
    while (elapsed := time.monotonic() - began) < seconds:
        if lab.exporter.poll() is not None:
            raise RuntimeError(f"the exporter ended: {lab.log.read_text()[-2000:]}")
        try:
            pids = (lab.exporter.pid, lab.api_pid)
            samples.append(look(elapsed, inside, pids, lab.state))
        except queue.Empty:
            progress("the exporter's loop did not answer in time")
        if len(samples) % 12 == 1:
            last = samples[-1]
            progress(
                f"{elapsed / 60:.1f} min: {last.rss / 1e6:.1f} MB, {last.descriptors} descriptors, "
                f"{last.tasks} tasks, {last.threads} threads, {last.objects:,} objects"
            )
        time.sleep(pause - (time.monotonic() - began) % pause)
    return samples


def _scrape(lab: Lab, watch: Watch, is_over: threading.Event) -> None:
    while not is_over.wait(SCRAPE_SECONDS):
        for kind in ("text", "openmetrics"):
            began = time.monotonic()
            try:
                text = fetch(lab.url, kind)
            except OSError as error:
                watch.failed += 1
                watch.faults.append(f"a scrape failed: {error}")
                continue
            watch.slowest_seconds = max(watch.slowest_seconds, time.monotonic() - began)
            watch(Scrape(text))


def _compare(lab: Lab, watch: Watch) -> tuple[list[str], dict[str, str]]:
    """What is wrong in the end, and how much was compared."""
    gaps = dict(watch.gaps)
    try:
        still = stand_still(lab)
    except TimeoutError as error:
        return [str(error)], {}
    watch(still.seen)
    calm, others = reckon(lab, still, gaps)
    return [*differences(lab, still), *calm.faults, *others.faults], {
        "longest time between two good polls of an outbound": f"{max(gaps.values()):.0f} s",
        **_told("outbounds whose rows keep what they say", calm),
        **_told("the others", others),
    }


def _told(which: str, reckoned: Reckoned) -> dict[str, str]:
    return {
        f"{which}: counters that equal the truth": f"{reckoned.exact:,}",
        f"{which}: counters within what it leaves open": f"{reckoned.bounded:,}",
        f"{which}: calls started": (
            f"{reckoned.started:,.0f}, open in the truth {reckoned.width:,.0f}, "
            f"uncounted {reckoned.uncounted:,.0f}"
        ),
    }


def _log_faults(lab: Lab) -> list[str]:
    signs = ("Traceback", "met a bug", "level=ERROR", "level=CRITICAL")
    lines = lab.log.read_text().splitlines()
    return [f"the log: {line}" for line in lines if any(sign in line for sign in signs)]


def _counts(
    lab: Lab, watch: Watch, timetable: Timetable, company: BadCompany, samples: list[Sample]
) -> dict[str, str]:
    last = watch.last
    assert last is not None
    span = samples[-1].at - samples[0].at
    ours = (samples[-1].cpu_seconds - samples[0].cpu_seconds) / span
    api = (samples[-1].api_cpu_seconds - samples[0].api_cpu_seconds) / span
    late = last.by_outbound("pearl_outbound_poll_lateness_seconds").values()
    wanted = span / INTERVAL_SECONDS * len(lab.api.outbounds)
    return {
        "reloads": f"{timetable.reloads}",
        "slow and silent clients, one after another": f"{company.ended.total()}",
        "scrapes, all with counters that only grew": f"{watch.scrapes}",
        "scrapes that failed": f"{watch.failed}",
        "slowest scrape": f"{watch.slowest_seconds:.2f} s",
        "sums of an outbound's calls that were compared": f"{watch.balances:,}",
        "polls": (
            f"{last.total('pearl_exporter_polls_total'):,.0f} "
            f"(one each {INTERVAL_SECONDS} s: {wanted:,.0f})"
        ),
        "polls that failed": f"{last.total('pearl_exporter_poll_failures_total'):,.0f}",
        "polls skipped, as the one before went on": (
            f"{last.total('pearl_exporter_polls_skipped_total'):,.0f}"
        ),
        "latest poll of all last ones": f"{max(late):.2f} s",
        "requests": f"{last.total('pearl_exporter_api_requests_total'):,.0f}",
        "requests sent again": f"{last.total('pearl_exporter_api_retries_total'):,.0f}",
        "calls settled": f"{last.total('pearl_calls_total'):,.0f}",
        "calls tracked": f"{last.total('pearl_outbound_tracked_calls'):,.0f}",
        "processor, the exporter": f"{ours:.1%} of a core",
        "processor, the simulated API": f"{api:.1%} of a core",
    }


if __name__ == "__main__":
    main()
