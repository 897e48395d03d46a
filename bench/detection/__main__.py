"""Run the detector over quiet outbounds and over outbounds with incidents, by scatter.

    .venv/bin/python -m bench.detection --months 60
    .venv/bin/python -m bench.detection --months 6 --scatter 0.28

It prints tables, and with ``--output`` writes them. The package's text says what is measured. A
month takes some seconds.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.detection.evaluation import MonthResult, run_busy, run_quiet
from bench.detection.world import KINDS, RATES
from bench.support.processes import progress
from bench.support.report import Section, machine, page, quantile
from pearl_exporter.detection.evidence import LIMITS

SCATTERS = (0.0, 0.08, 0.16, 0.22, 0.28)
PAGE, WARNING = LIMITS["normal"].page, LIMITS["normal"].warning
ALARMS = (("page", PAGE), ("warning", WARNING))
CURVE = (6.0, WARNING, 8.0, 9.0, PAGE, 11.0, 12.0, 13.0, 15.0)

HEAD = (
    "false",
    "a month",
    "found",
    "found %",
    "minutes over the bound",
    "90%",
    "minutes to the end",
    "90%",
    "alarms an incident",
)


@dataclass(frozen=True)
class Results:
    """What came of the months of one scatter: of quiet outbounds, and of those with incidents."""

    quiet: list[MonthResult]
    busy: list[MonthResult]

    def cells(self, limit: float, is_counted: Callable[[MonthResult], bool]) -> list[str]:
        """Return the figures of one limit, as in `HEAD`, over some of the months."""
        quiet = [each for each in self.quiet if is_counted(each)]
        busy = [each for each in self.busy if is_counted(each)]
        false = sum(each.false[limit] for each in quiet)
        every = [one for each in busy for one in each.found[limit] if one.is_decidable]
        found = [one for one in every if one.alarms]
        over = [one.over_bound for one in found if one.over_bound is not None]
        after = [one.after_end for one in found if one.after_end is not None]
        return [
            f"{false} in {len(quiet)}",
            f"{false / max(1, len(quiet)):.3f}",
            f"{len(found)} of {len(every)}",
            f"{len(found) / max(1, len(every)):.0%}",
            f"{median(over):+.1f}" if over else "-",
            f"{quantile(over, 0.9):+.1f}" if over else "-",
            f"{median(after):+.1f}" if after else "-",
            f"{quantile(after, 0.9):+.1f}" if after else "-",
            f"{sum(one.alarms for one in found) / max(1, len(found)):.1f}",
        ]


def kinds_cells(results: Results, limit: float, kind: str) -> list[str]:
    """Return what was found of one kind of incident."""
    every = [
        one
        for each in results.busy
        for one in each.found[limit]
        if one.is_decidable and one.incident.kind == kind
    ]
    over = [one.over_bound for one in every if one.over_bound is not None]
    return [
        f"{len(over)} of {len(every)}",
        f"{median(over):+.1f}" if over else "-",
        f"{quantile(over, 0.9):+.1f}" if over else "-",
    ]


def sections(by_scatter: dict[float, Results]) -> list[Section]:
    """Return the tables."""

    def is_any(_: MonthResult) -> bool:
        return True

    everything = Results(
        [month for each in by_scatter.values() for month in each.quiet],
        [month for each in by_scatter.values() for month in each.busy],
    )
    return [
        Section(
            "By scatter",
            ("scatter", "alarm", *HEAD),
            [
                [f"{scatter:g}", name, *results.cells(limit, is_any)]
                for scatter, results in by_scatter.items()
                for name, limit in ALARMS
            ]
            + [["all", name, *everything.cells(limit, is_any)] for name, limit in ALARMS],
            f"A page is evidence of {PAGE:g} nats, a warning of {WARNING:g}.",
        ),
        Section(
            "By limit, all scatters together",
            ("limit, nats", *HEAD),
            [[f"{limit:g}", *everything.cells(limit, is_any)] for limit in CURVE],
        ),
        Section(
            "By pace",
            ("calls an hour", "alarm", *HEAD),
            [
                [f"{rate:,}", name, *everything.cells(limit, lambda each, r=rate: each.rate == r)]  # type: ignore[misc]
                for rate in RATES
                for name, limit in ALARMS
            ],
        ),
        Section(
            "By kind of incident",
            ("incident", "alarm", "found", "minutes over the bound", "90%"),
            [
                [kind, name, *kinds_cells(everything, limit, kind)]
                for kind in KINDS
                for name, limit in ALARMS
            ],
        ),
    ]


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.detection", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--months", type=int, default=60, help="quiet outbound-months a scatter")
    parser.add_argument("--scatter", type=float, nargs="*", default=SCATTERS)
    parser.add_argument("--seed", type=int, default=0, help="the first month's")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, help="folder for the tables as Markdown")
    given = parser.parse_args()
    seeds = range(given.seed, given.seed + given.months)
    by_scatter = {}
    with ProcessPoolExecutor(given.workers) as pool:
        for scatter in given.scatter:
            scatters = [scatter] * given.months
            by_scatter[scatter] = results = Results(
                [*pool.map(run_quiet, seeds, scatters, [CURVE] * given.months)],
                [*pool.map(run_busy, seeds, scatters, [CURVE] * given.months)],
            )
            for name, limit in ALARMS:
                progress(f"{scatter:g} {name}: {results.cells(limit, lambda _: True)}")
    text = page("detection", [machine(), *sections(by_scatter)])
    print(text)
    if given.output:
        (given.output / "detection.md").write_text(text)


if __name__ == "__main__":
    main()
