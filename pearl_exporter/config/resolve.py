"""What takes more than one key to decide: defaults that depend on others, and whether all fits.

Every outbound gets all its values here, so that no reader of the settings looks in two places.
"""

import ssl
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from pearl_exporter.config.durations import format_duration
from pearl_exporter.config.problems import Faults
from pearl_exporter.config.settings import (
    ApiSettings,
    OutboundEntry,
    OutboundSettings,
    PollSettings,
    Settings,
    default_give_up,
    default_settle_unanswered,
    default_stale_after,
)
from pearl_exporter.config.tokens import TokenSource
from pearl_exporter.config.yaml_lines import KeyPath

_WITHOUT = (
    "no token; give one of api.token and api.token_file in the file, "
    "or of PEARL_API_TOKEN and PEARL_API_TOKEN_FILE in the environment"
)
_TIMINGS = (
    # the greater, the lesser, how many of the lesser it must hold, and how to say that
    ("window", "interval", 1, "the interval"),
    ("idle_interval", "interval", 1, "the interval"),
    ("window", "idle_interval", 1, "idle_interval"),
    ("settle", "settle_unanswered", 1, "settle_unanswered"),
    ("stale_after", "interval", 2, "two intervals"),
    ("stale_after", "idle_interval", 2, "two of idle_interval"),
)


def timings(entry: OutboundEntry, poll: PollSettings) -> dict[str, float]:
    """Give an outbound's timings in seconds: its own, else the poll section's, else defaults.

    A default follows the outbound's own interval and settle, not those of the poll section.
    """
    interval = poll.interval if entry.interval is None else entry.interval
    idle_interval = max(interval, poll.idle_interval or 0.0)
    settle = poll.settle if entry.settle is None else entry.settle
    unanswered, stale_after = entry.settle_unanswered, entry.stale_after
    if unanswered is None:
        given = "settle_unanswered" in poll.model_fields_set
        unanswered = poll.settle_unanswered if given else default_settle_unanswered(settle)
        unanswered = min(unanswered, settle)
    if stale_after is None:
        given = "stale_after" in poll.model_fields_set
        stale_after = poll.stale_after if given else default_stale_after(idle_interval)
    return {
        "interval": interval,
        "idle_interval": idle_interval,
        "window": poll.window if entry.window is None else entry.window,
        "settle": settle,
        "settle_unanswered": unanswered,
        "stale_after": stale_after,
    }


def give_up(interval: float, poll: PollSettings, api: ApiSettings) -> float:
    """Give the seconds after which a poll without a good page fails, for one interval."""
    return (
        poll.give_up
        if "give_up" in poll.model_fields_set
        else default_give_up(interval, api.timeout)
    )


def outbound(entry: OutboundEntry, poll: PollSettings, api: ApiSettings) -> OutboundSettings:
    """Give an outbound with every value resolved. The token must have been checked."""
    resolved = timings(entry, poll)
    return OutboundSettings(
        id=entry.id,
        name=entry.name or entry.id,
        token=_token(entry, api),
        interval=resolved["interval"],
        idle_interval=resolved["idle_interval"],
        window=resolved["window"],
        settle=resolved["settle"],
        settle_unanswered=resolved["settle_unanswered"],
        stale_after=resolved["stale_after"],
        give_up=give_up(resolved["interval"], poll, api),
        labels=entry.labels,
    )


def discovered_outbound(outbound_id: str, name: str, settings: Settings) -> OutboundSettings:
    """Give an outbound that was discovered: it has the values of the poll section."""
    entry = OutboundEntry(id=outbound_id, name=name)
    return outbound(entry, settings.poll, settings.api)


def _token(entry: OutboundEntry, api: ApiSettings) -> TokenSource:
    if entry.token_file is not None:
        return TokenSource(file=entry.token_file)
    return TokenSource(literal=api.token, file=api.token_file)


# --- whether all fits


def check_timings(poll: PollSettings, entries: Mapping[int, OutboundEntry], faults: Faults) -> None:
    """Report timings that contradict each other, once, at the key that was given."""
    shared = {key: getattr(poll, key) for key in PollSettings.model_fields}
    if poll.idle_interval is None:
        shared["idle_interval"] = poll.interval
    if "stale_after" not in poll.model_fields_set:
        shared["stale_after"] = default_stale_after(shared["idle_interval"])
    for key, message in _contradictions(shared, poll.model_fields_set, faults.wrong("poll")):
        faults.add(("poll", key), message)
    for index, entry in entries.items():
        given = {key for key in entry.model_fields_set if getattr(entry, key) is not None}
        # What comes from a faulty key of the poll section would be a fault of a fault.
        wrong = faults.wrong("outbounds", index) | (faults.wrong("poll") - given)
        for key, message in _contradictions(timings(entry, poll), given, wrong):
            faults.add(("outbounds", index, key), message)


def _contradictions(
    values: Mapping[str, float], given: AbstractSet[str], wrong: AbstractSet[str]
) -> Iterator[tuple[str, str]]:
    """Give what does not fit: a key that was given, and the message. Values in seconds."""
    for greater, lesser, factor, words in _TIMINGS:
        least, have = factor * values[lesser], values[greater]
        if least <= have or {greater, lesser} & wrong:
            continue
        if lesser == "idle_interval" and values["interval"] == values["idle_interval"]:
            continue  # none beside the usual one, of which it is told
        if greater in given:
            wanted = f"wanted at least {words}, which is {format_duration(least)}"
            yield greater, f"got {format_duration(have)}, {wanted}"
        elif lesser in given:
            most = format_duration(have / factor)
            part = f"half of {greater}" if factor > 1 else greater
            yield (
                lesser,
                f"got {format_duration(values[lesser])}, wanted at most {part}, which is {most}",
            )


def check_unique(entries: Mapping[int, OutboundEntry], faults: Faults) -> None:
    """Report outbounds that bear the same id or the same name (the id where none is given)."""
    ids: dict[str, int] = {}
    names: dict[str, int] = {}
    for index, entry in entries.items():
        name = entry.name or entry.id
        if (first := ids.setdefault(entry.id, index)) != index:
            faults.add(("outbounds", index, "id"), f"the same id as outbounds.{first}")
        elif (first := names.setdefault(name, index)) != index:
            key = "id" if entry.name is None else "name"
            faults.add(("outbounds", index, key), f'"{name}" is the name of outbounds.{first} too')


def check_token(
    tree: Mapping[str, object],
    entries: Mapping[int, OutboundEntry],
    faults: Faults,
    *,
    asks: bool,
) -> None:
    """Report two tokens for the API, and none where one is needed.

    ``asks`` says whether the platform is asked for its list or the account as well.
    """
    api = tree.get("api")
    if not isinstance(api, dict):
        return
    given = [key for key in ("token", "token_file") if api.get(key) is not None]
    if len(given) > 1:
        other = faults.name_of(("api", "token"))
        faults.add(("api", "token_file"), f"there is {other} as well; wanted one of both")
    own = bool(entries) and all(entry.token_file is not None for entry in entries.values())
    if not given and (asks or (not own and tree.get("outbounds") != [])):
        faults.add(("api", "token"), _WITHOUT)


def leave_out_token(tree: Mapping[str, object]) -> None:
    """Take the API's token out of ``tree``, and with it whatever is wrong with it."""
    api = tree.get("api")
    if isinstance(api, dict):
        api.pop("token", None)
        api.pop("token_file", None)


def check_files(api: ApiSettings, entries: Mapping[int, OutboundEntry], faults: Faults) -> None:
    """Report token files without a usable token and a trust root without certificates."""
    token_files: list[tuple[KeyPath, Path | None]] = [(("api",), api.token_file)]
    token_files += [(("outbounds", index), entry.token_file) for index, entry in entries.items()]
    for section, path in token_files:
        if path is not None:
            try:
                TokenSource(file=path).read()
            except ValueError as error:
                faults.add_file((*section, "token_file"), str(error), path)
    if api.ca_file is not None:
        _check_certificates(api.ca_file, faults)


def _check_certificates(path: Path, faults: Faults) -> None:
    if path.exists() and not path.is_file():  # a pipe would wait for a writer
        faults.add_value(("api", "ca_file"), "wanted a regular file", str(path))
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        faults.add_value(("api", "ca_file"), "wanted a file of PEM certificates", str(path))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        faults.add_value(
            ("api", "ca_file"), f"wanted a file that can be read ({reason})", str(path)
        )
