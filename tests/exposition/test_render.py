"""A scrape, byte for byte, in both formats; what is hidden from it; and its exemplars."""

import math
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics

from pearl_exporter.exposition.outbound_metrics import OUTBOUND_METRICS
from pearl_exporter.exposition.render import Format, families_of
from pearl_exporter.polling.snapshot import OutboundSnapshot
from tests.exposition.contract import (
    HIDDEN_WHEN_STALE,
)
from tests.exposition.scraped import NOW, World, families, key, polled, unpolled
from tests.support.programs import debian_program

GOLDEN = Path(__file__).parent / "golden"


def successive() -> Iterator[OutboundSnapshot]:
    """One outbound as it may be published in turn: what changes, and what stays."""
    latest = polled()
    yield unpolled(latest.name, latest.outbound_id)
    yield latest
    yield latest
    ledger, window = latest.calls.ledger, latest.calls.window
    assert window is not None
    for calls in (
        latest.calls._replace(live=7),
        latest.calls._replace(ledger=replace(ledger, started=41)),
        latest.calls._replace(window=window._replace(by_tag={"interested": 3})),
        latest.calls._replace(window=None),
    ):
        yield replace(latest, calls=calls)
    yield replace(latest, health=replace(latest.health, polls=301, up=False))
    yield polled(exemplars=(None, ("65f1c0cc", 7.0), None))
    yield polled(tags=reversed(["interested", "later"]))
    yield polled(labels={"team": "another"})
    yield polled("renamed")


@pytest.mark.parametrize("format_", Format)
def test_earlier_snapshots_leave_no_trace(format_: Format) -> None:
    world, beside = World(polled("b", "65f1c0bbbb")), polled("b", "65f1c0bbbb")
    for outbound in successive():
        world.exposition.publish(outbound)
        assert of_outbounds(world.text(format_)) == of_outbounds(
            World(beside, outbound).text(format_)
        )


def of_outbounds(text: str) -> list[str]:
    """The lines that are not the exporter's own, some of which change with time."""
    return [line for line in text.splitlines() if not re.match(r"(# \w+ )?(process|python)_", line)]


@pytest.mark.parametrize("format_", Format)
def test_the_bytes_are_those_of_prometheus_client(format_: Format) -> None:
    world = World(polled(), polled("b", "65f1c0bbbb", labels={}), unpolled())

    class All:
        def collect(self) -> Iterator[Metric]:
            outbounds = world.exposition.outbounds
            for metric in OUTBOUND_METRICS:
                yield from (
                    each for each in families_of(metric, outbounds, format_) if each.samples
                )
            yield from world.exporter.registry.collect()

    generate = {
        Format.TEXT: prometheus_client.generate_latest,
        Format.OPENMETRICS: openmetrics.generate_latest,
    }[format_]
    wanted = generate(All()).decode()
    # stale: unpolled() has had no good poll
    gone = re.compile(rf"^(?:{'|'.join(HIDDEN_WHEN_STALE)})\w*{{.*new one.*\n", re.MULTILINE)
    assert without_measurements(world.text(format_)) == without_measurements(gone.sub("", wanted))


def without_measurements(text: str) -> list[str]:
    """The lines, but for the values that no two moments of a process have in common."""
    return [
        line.rpartition(" ")[0] if re.match(r"(process|python)_", line) else line
        for line in text.splitlines()
    ]


def test_the_window_histogram_as_text_is_untyped() -> None:
    """Its buckets may fall; a Prometheus that takes it for a histogram would be misled."""
    lines = World(polled()).text().splitlines()
    block = [line for line in lines if "pearl_window_call_duration_seconds" in line]
    name = "pearl_window_call_duration_seconds"
    text = "Durations of the finished, answered calls in the window, as of the last successful "
    text += "poll of the NLPearl calls search. Buckets may go down."
    assert block == [
        f"# HELP {name}_bucket {text}",
        f"# TYPE {name}_bucket untyped",
        f'{name}_bucket{{le="5.0",outbound="spring-renewals"}} 2.0',
        f'{name}_bucket{{le="60.0",outbound="spring-renewals"}} 5.0',
        f'{name}_bucket{{le="+Inf",outbound="spring-renewals"}} 6.0',
        f"# HELP {name}_gcount {text}",
        f"# TYPE {name}_gcount gauge",
        f'{name}_gcount{{outbound="spring-renewals"}} 6.0',
        f"# HELP {name}_gsum {text}",
        f"# TYPE {name}_gsum gauge",
        f'{name}_gsum{{outbound="spring-renewals"}} 123.5',
    ]


@pytest.mark.parametrize(
    ("format_", "file"), [(Format.TEXT, "metrics.txt"), (Format.OPENMETRICS, "metrics.om")]
)
def test_the_whole_of_a_scrape(format_: Format, file: str) -> None:
    """To take over a change that is meant: UPDATE_GOLDEN=1, and look at the difference."""
    world = World(polled(), unpolled())
    world.exporter.requested("200", 0.2)
    world.exporter.requested("none", 30.0)
    world.exporter.retried()
    world.exporter.waited(1.5)
    world.exporter.read_rows(79, 2)
    world.exporter.read_rows_outside(3)
    world.exporter.met_unusable_fields("tags", 2)
    world.exporter.met_unknown_codes("status", 1)
    own = re.compile(r"(# \w+ )?(process|python)_")
    lines = [line for line in world.text(format_).splitlines() if not own.match(line)]
    text = re.sub(r'(python_)?version="[\d.]+"', r'\1version="X"', "\n".join(lines) + "\n")
    path = GOLDEN / file
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
        pytest.fail(f"{path} is written; look at the difference")
    assert text == path.read_text()


def test_promtool_accepts_the_scrape() -> None:
    checked = subprocess.run(
        [debian_program("promtool"), "check", "metrics"],
        input=World(polled(), unpolled()).text(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.stdout, checked.stderr, checked.returncode) == ("", "", 0)


@pytest.mark.parametrize("format_", Format)
def test_window_and_now_are_hidden_while_stale(format_: Format) -> None:
    outbound, other = polled(), polled("other", "65f1c0bbbb")
    later = replace(other, health=replace(other.health, last_success=NOW + 3_600_000))
    world = World(outbound, later)
    fresh = of_outbound(world.families(format_), "spring-renewals")
    world.now = NOW - 19_250 + 300_000
    assert of_outbound(world.families(format_), "spring-renewals") == fresh
    world.now += 1
    stale = of_outbound(world.families(format_), "spring-renewals")
    assert fresh.keys() >= stale.keys()
    gone = {name for name, _ in fresh.keys() - stale.keys()}
    assert {
        re.sub(r"_(bucket|gcount|gsum)$", "", name) for name in gone
    } == HIDDEN_WHEN_STALE.keys()
    assert {key: fresh[key] for key in stale} == stale
    kept = of_outbound(world.families(format_), "other")
    assert {name for name, _ in kept} == {name for name, _ in fresh}
    assert "nan" not in world.text(format_).lower()
    polled_again = replace(outbound, health=replace(outbound.health, last_success=world.now))
    world.exposition.publish(polled_again)
    again = of_outbound(world.families(format_), "spring-renewals")
    assert again.keys() == fresh.keys()


def of_outbound(
    found: dict[str, Metric], outbound: str
) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in found.values()
        for sample in family.samples
        if sample.labels.get("outbound") == outbound
    }


def test_an_empty_family_has_no_header() -> None:
    world = World(polled())
    world.now = NOW + 3_600_000
    assert "pearl_window" not in world.text()
    assert "pearl_" in World().text()
    assert "outbound" not in World().text()


def test_a_removed_outbound_is_gone() -> None:
    world = World(polled(), unpolled())
    world.exposition.remove("65f1c0ffee")
    for format_ in Format:
        assert "spring-renewals" not in world.text(format_)
        assert "new one" in world.text(format_)


def test_one_poll_gives_gauges_of_fresh_outbounds() -> None:
    found = families(
        World(polled(), unpolled()).exposition.render_outbounds().decode(), Format.TEXT
    )
    assert {each.type for each in found.values()} == {"gauge", "unknown"}
    outbounds = {each.labels["outbound"] for each in found["pearl_window_calls"].samples}
    assert outbounds == {"spring-renewals"}
    assert len(found["pearl_outbound_up"].samples) == 2


@pytest.mark.parametrize("format_", Format)
def test_no_value_is_nan_and_nothing_is_created(format_: Format) -> None:
    world = World(polled(), unpolled())
    assert "_created" not in world.text(format_)
    for family in world.families(format_).values():
        for sample in family.samples:
            assert not math.isnan(sample.value), sample
            assert sample.timestamp is None, sample


def test_the_buckets_of_the_counted_durations_are_cumulative() -> None:
    world = World(polled())
    about = {"outbound": "spring-renewals", "status": "success"}
    buckets = world.samples("pearl_call_duration_seconds_bucket")
    found = {bound: buckets[key(about, le=bound)] for bound in ("5.0", "60.0", "+Inf")}
    assert found == {"5.0": 1.0, "60.0": 1.0, "+Inf": 2.0}
    assert world.samples("pearl_call_duration_seconds_count")[key(about)] == 2.0
    assert world.samples("pearl_call_duration_seconds_sum")[key(about)] == 102.5


def exemplar_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if " # {" in line]


def test_an_exemplar_is_the_buckets_latest_call() -> None:
    world = World(polled())
    name = "pearl_call_duration_seconds_bucket"
    about = 'outbound="spring-renewals",status="success"'
    assert exemplar_lines(world.text(Format.OPENMETRICS)) == [
        f'{name}{{le="5.0",{about}}} 1.0 # {{call_id="65f1c0aa"}} 3.5',
        f'{name}{{le="+Inf",{about}}} 2.0 # {{call_id="65f1c0bb"}} 99.0',
    ]
    assert exemplar_lines(world.text(Format.TEXT)) == []
    assert "call_id" not in world.text(Format.TEXT)


@pytest.mark.parametrize(
    ("call_id", "is_shown"),
    [
        ("65f1c0ffee65f1c0ffee65f1", True),
        ("0b9fa3a4-5a5c-4d0e-8f5c-4f3a0b6f2f11", True),
        ("call_17", True),
        ("x" * 121, True),
        ("x" * 122, False),  # with its name beyond the 128 characters of OpenMetrics
        ("15125550142", False),
        ("+15125550142", False),
        ("1512-555-0142", False),
        ("1512_555_0142", False),
        ("tel:+15125550142", False),
        ("jane@example.org", False),
        ("Größe", False),
        ("١٥١٢٥٥٥", False),
        ('a"b', False),
        ("a b", False),
        ("-", False),
        ("", False),
    ],
)
def test_an_id_that_is_no_opaque_word_is_no_exemplar(call_id: str, is_shown: bool) -> None:
    outbound = polled(exemplars=((call_id, 3.5), None, None))
    text = World(outbound).text(Format.OPENMETRICS)
    families(text, Format.OPENMETRICS)
    wanted = [f'# {{call_id="{call_id}"}} 3.5'] if is_shown else []
    assert [line[line.index("# {") :] for line in exemplar_lines(text)] == wanted


ODD_TEXT = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from('\\"\n{}=, #'), min_size=1
)


def test_odd_names_are_escaped() -> None:
    outbound = polled('a "b" \\c\nd', tags=["ü"])
    for format_ in Format:
        line = next(
            line
            for line in World(outbound).text(format_).splitlines()
            if line.startswith("pearl_window_tagged_calls{")
        )
        assert line == r'pearl_window_tagged_calls{outbound="a \"b\" \\c\nd",tag="ü"} 0.0'


@given(name=ODD_TEXT, tag=ODD_TEXT, label=ODD_TEXT)
def test_any_label_comes_back_from_the_parsers(name: str, tag: str, label: str) -> None:
    outbound = polled(name, tags=[tag], labels={"team": label})
    world = World(outbound)
    for format_ in Format:
        found = world.families(format_)
        (tagged,) = found["pearl_window_tagged_calls"].samples
        assert tagged.labels == {"outbound": name, "tag": tag}
        (info,) = found["pearl_outbound_info"].samples
        assert info.labels == {"outbound": name, "outbound_id": "65f1c0ffee", "team": label}
