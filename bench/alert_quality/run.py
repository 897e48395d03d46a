"""From a world to what fired in it."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from bench.alert_quality import engine
from bench.alert_quality.counting import INTERVAL_MS, Counted, Polls, count, days_of
from bench.alert_quality.exposition import Shown, day_text, running_text
from bench.alert_quality.judge import STEP_SECONDS, Fired, Outcome, fired
from bench.alert_quality.rules import Rules, alert_query
from bench.alert_quality.world import START_MS, Outbound, World

SILENT = "PearlOutboundSilent"
ALERTS = (
    "PearlErrorSpike",
    "PearlErrorShareRaised",
    "PearlUnreachableSpike",
    "PearlUnreachableShareRaised",
    "PearlSuccessRateFallen",
    SILENT,
    "PearlExporterDown",
    "PearlOutboundFailing",
    "PearlDataStale",
)
Tell = Callable[[str], None]


def run(world: World, folder: Path, *, workers: int = 2, tell: Tell = lambda _: None) -> Outcome:
    """Simulates, stores, evaluates. ``folder`` is for its files, some GB a month."""
    counted = count_all(world, workers, tell)
    store_history(world, counted, folder, workers, tell)
    start, end = START_MS // 1000, world.end // 1000
    engine.store_recorded(folder, list(days_of(world)), workers, tell=tell)
    with engine.prometheus(folder) as server:
        found = [each for name in ALERTS for each in fired_of(server, name, start, end)]
    tell(f"{len(found)} alerts fired")
    for span in days_of(world):
        engine.store_text(folder, f"running-{span[0]}", running_text(world, span))
    with engine.prometheus(folder) as server:
        silent = fired_of(server, SILENT, start, end)
    tell("silence was judged once more, by who knows of pauses")
    return Outcome(counted, sorted(found, key=lambda each: each.start), silent)


def count_all(world: World, workers: int, tell: Tell) -> dict[str, Counted]:
    """All calls of all outbounds, counted; the largest are begun with."""
    places = sorted(
        range(len(world.outbounds)), key=lambda place: -world.outbounds[place].profile.calls_a_day
    )
    outbounds = [world.outbounds[place] for place in places]
    with ProcessPoolExecutor(workers) as pool:
        made = pool.map(partial(_count, world), places, outbounds)
        counted = {each.name: result for each, result in zip(outbounds, made, strict=True)}
    tell(f"{sum(each.calls for each in counted.values()):,} calls of {len(counted)} outbounds")
    return {each.name: counted[each.name] for each in world.outbounds}


def _count(world: World, place: int, outbound: Outbound) -> Counted:
    offset = INTERVAL_MS * place // len(world.outbounds)
    return count(outbound, world, Polls(world, offset))


def store_history(
    world: World, counted: dict[str, Counted], folder: Path, workers: int, tell: Tell
) -> None:
    """One text a day becomes blocks."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    days = list(days_of(world))
    global _shown, _world  # noqa: PLW0603 - inherited by the workers, which saves copying it
    _world = world
    _shown = {name: Shown(name, each, world) for name, each in counted.items()}
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(partial(_store_day, folder), days))
    tell(f"{len(days)} days stored")


_shown: dict[str, Shown] = {}
_world: World | None = None


def _store_day(folder: Path, span: tuple[int, int]) -> None:
    assert _world is not None
    engine.store_text(folder, f"day-{span[0]}", day_text(_shown, _world, span))


def fired_of(server: engine.Prometheus, name: str, start: int, end: int) -> list[Fired]:
    """When one alert fired, for each of its label sets."""
    rules = Rules()
    moments = server.when(alert_query(rules, name), start, end, STEP_SECONDS)
    return [
        each
        for labels, seconds in moments.items()
        for each in fired(name, rules.alerts[name], seconds, dict(labels).get("outbound", ""))
    ]
