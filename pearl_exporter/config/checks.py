"""What takes more than one key to check, or a look at the disk.

Each check reports to `Problems`, and reports nothing that follows from a problem reported before.
"""

import ssl
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from pearl_exporter.config.durations import format_duration
from pearl_exporter.config.placeholders import placeholder_problem
from pearl_exporter.config.problems import Problems
from pearl_exporter.config.secrecy import KnownSecrets
from pearl_exporter.config.settings import ApiSettings, OutboundEntry
from pearl_exporter.config.timings import Timings, resolve_timings
from pearl_exporter.config.tokens import TokenSource
from pearl_exporter.config.yaml_lines import KeyPath

_NEITHER_GIVEN = (
    "no token; give one of api.token and api.token_file in the file, "
    "or of PEARL_API_TOKEN and PEARL_API_TOKEN_FILE in the environment"
)
_MISPLACED = (
    "holds the API token or its secret half, which belongs in api.token or a token_file alone"
)
_MINIMA = (
    # the greater key, the lesser key, how many of the lesser it must hold, and words for these
    ("window", "interval", 1, "the interval"),
    ("idle_interval", "interval", 1, "the interval"),
    ("window", "idle_interval", 1, "idle_interval"),
    ("settle", "settle_unanswered", 1, "settle_unanswered"),
    ("stale_after", "interval", 2, "two intervals"),
    ("stale_after", "idle_interval", 2, "two of idle_interval"),
)


def check_placeholders(
    value: object, problems: Problems, variable_of: Callable[[KeyPath], str | None]
) -> None:
    """Report the placeholders in all values of a configuration.

    Args:
        value: The configuration as it was read.
        problems: Gets them.
        variable_of: Returns the environment variable that sets a key, None if there is none.
    """
    for path, text in texts_of(value):
        problem = placeholder_problem(text, variable_of(path))
        if problem is not None:
            problems.add(path, problem)


def check_secrets(value: object, secrets: KnownSecrets, problems: Problems) -> None:
    """Report keys and values that hold a token or its secret half, except those of `api.token`.

    Ids, names and labels are published, and a URL's host is in messages.
    """
    for path, text in texts_of(value, with_keys=True):
        is_name = path[:1] == ("outbounds",) or path[:2] in (("api", "url"), ("api", "proxy"))
        if path != ("api", "token") and secrets.is_in(text, is_name=is_name):
            problems.add(path, _MISPLACED)


def texts_of(
    value: object, path: KeyPath = (), *, with_keys: bool = False
) -> Iterator[tuple[KeyPath, str]]:
    """Yield every text of a configuration, with where it is.

    Args:
        value: The configuration, or a part of it.
        path: Where that part is.
        with_keys: Whether to yield the keys of mappings too, where their mapping is.
    """
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            if with_keys:
                yield path, key
            yield from texts_of(item, (*path, key), with_keys=with_keys)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts_of(item, (*path, index), with_keys=with_keys)


def check_timings(poll: Timings, entries: Mapping[int, OutboundEntry], problems: Problems) -> None:
    """Report timings that contradict each other, each once, at a key that was given.

    Args:
        poll: The section `poll`.
        entries: The outbounds by their place in the list.
        problems: Gets the contradictions.
    """
    wrong = problems.keys_in("poll")
    for key, message in _contradictions(poll, poll.given().keys(), wrong):
        problems.add(("poll", key), message)
    for index, entry in entries.items():
        own = entry.timings()
        # A wrong key of `poll` was reported there, and says nothing about this outbound.
        wrong = problems.keys_in("outbounds", index) | (problems.keys_in("poll") - own.keys())
        for key, message in _contradictions(resolve_timings(poll, own), own.keys(), wrong):
            problems.add(("outbounds", index, key), message)


def _contradictions(
    timings: Timings, given: AbstractSet[str], wrong: AbstractSet[str]
) -> Iterator[tuple[str, str]]:
    """Yield each key whose value does not fit another's, with the message.

    Args:
        timings: The values.
        given: The keys that were given: only these are reported.
        wrong: The keys that have a problem already.
    """
    values: dict[str, float] = {key: getattr(timings, key) for key in Timings.model_fields}
    values["idle_interval"] = timings.idle_interval or timings.interval
    for greater, lesser, factor, words in _MINIMA:
        least, value = factor * values[lesser], values[greater]
        if least <= value or {greater, lesser} & wrong:
            continue
        if lesser == "idle_interval" and values["interval"] == values["idle_interval"]:
            continue  # the same contradiction as with the interval
        if greater in given:
            wanted = f"wanted at least {words}, which is {format_duration(least)}"
            yield greater, f"got {format_duration(value)}, {wanted}"
        elif lesser in given:
            most = format_duration(value / factor)
            part = f"half of {greater}" if factor > 1 else greater
            yield (
                lesser,
                f"got {format_duration(values[lesser])}, wanted at most {part}, which is {most}",
            )


def check_unique(entries: Mapping[int, OutboundEntry], problems: Problems) -> None:
    """Report outbounds with the same id or the same name, which is the id if none is given."""
    ids: dict[str, int] = {}
    names: dict[str, int] = {}
    for index, entry in entries.items():
        name = entry.name or entry.id
        if (first := ids.setdefault(entry.id, index)) != index:
            problems.add(("outbounds", index, "id"), f"the same id as outbounds.{first}")
        elif (first := names.setdefault(name, index)) != index:
            key = "id" if entry.name is None else "name"
            message = f'"{name}" is the name of outbounds.{first} too'
            problems.add(("outbounds", index, key), message)


def check_token(
    tree: Mapping[str, object],
    entries: Mapping[int, OutboundEntry],
    problems: Problems,
    *,
    is_needed: bool,
) -> None:
    """Report two tokens in the section `api`, and none where one is needed.

    Args:
        tree: The configuration as it was read.
        entries: The outbounds, each of which may have a token of its own.
        problems: Gets what is wrong.
        is_needed: Whether discovery or the account needs the token of `api` in any case.
    """
    api = tree.get("api")
    if not isinstance(api, dict):
        return
    given = [key for key in ("token", "token_file") if api.get(key) is not None]
    if len(given) > 1:
        other = problems.source_of(("api", "token"))
        problems.add(("api", "token_file"), f"{other} is given too; wanted only one of them")
    all_have_one = bool(entries) and all(each.token_file is not None for each in entries.values())
    if not given and (is_needed or (not all_have_one and tree.get("outbounds") != [])):
        problems.add(("api", "token"), _NEITHER_GIVEN)


def check_files(api: ApiSettings, entries: Mapping[int, OutboundEntry], problems: Problems) -> None:
    """Report token files without a usable token, and a trust root without certificates."""
    token_files: list[tuple[KeyPath, Path | None]] = [(("api",), api.token_file)]
    token_files += [(("outbounds", index), entry.token_file) for index, entry in entries.items()]
    for section, path in token_files:
        if path is not None:
            try:
                TokenSource(file=path).read()
            except ValueError as error:
                problems.add_file((*section, "token_file"), str(error), path)
    if api.ca_file is not None:
        _check_certificates(api.ca_file, problems)


def _check_certificates(path: Path, problems: Problems) -> None:
    key = ("api", "ca_file")
    if path.exists() and not path.is_file():  # reading a pipe would wait for its writer
        problems.add_value(key, "wanted a regular file", str(path))
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        problems.add_value(key, "wanted a file of PEM certificates", str(path))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        problems.add_value(key, f"wanted a file that can be read ({reason})", str(path))
