"""What ``check`` prints about the platform: its list of outbounds, and the account."""

from collections import Counter
from collections.abc import Iterator, Sequence

from pearl_exporter.app import App
from pearl_exporter.config import Settings
from pearl_exporter.discovery.platform import LIST_OF_OUTBOUNDS, NOT_LISTED
from pearl_exporter.discovery.selection import SelectedOutbound, Selection
from pearl_exporter.errors import PollError

MAX_NAMED = 50
"""At most this many outbounds that are not polled are named; the rest are counted."""

_WHY = {
    Selection.EXCLUDED: "excluded by discovery.include or discovery.exclude",
    Selection.PAUSED: "paused or suspended, by discovery.paused",
    Selection.OVER_LIMIT: "over discovery.max_outbounds",
}


async def ask_platform(app: App, settings: Settings) -> tuple[list[str], bool]:
    """Read what discovery and account need; return lines to print, and whether all is well."""
    failures = await app.platform.once(retries=False)
    lines = [_failed(subject, error) for subject, error in failures]
    failed = {subject for subject, _ in failures}
    if settings.discovery.enabled and LIST_OF_OUTBOUNDS not in failed:
        lines += _list_lines(await app.platform.choices(settings))
        not_listed = app.platform.snapshot().found.get(NOT_LISTED)
        if not_listed:
            lines.append(
                f"WARNING  {LIST_OF_OUTBOUNDS} counts {not_listed} more that it does not list: "
                "they are not polled unless they are configured"
            )
    account = app.platform.snapshot().account
    if account is not None:
        status = next((label for label, is_it in account.statuses.items() if is_it), "unknown")
        lines.append(f"ok    the account: its status is {status}")
    return lines, not failures


def _failed(subject: str, error: PollError) -> str:
    return f"FAIL  {subject}: {error.reason}: {error}"


def _list_lines(choices: Sequence[SelectedOutbound]) -> Iterator[str]:
    counts = Counter(choice.selection for choice in choices)
    summary = ", ".join(f"{counts[each]} {each.value.replace('_', ' ')}" for each in Selection)
    yield f"ok    {LIST_OF_OUTBOUNDS}: {len(choices)} outbounds ({summary})"
    unpolled = [choice for choice in choices if choice.selection in _WHY]
    for choice in unpolled[:MAX_NAMED]:
        yield f"skip  {choice.label} ({choice.outbound.id}): {_WHY[choice.selection]}"
    if len(unpolled) > MAX_NAMED:
        yield f"skip  {len(unpolled) - MAX_NAMED} more"
    if len(unpolled) == len(choices):
        why = "all that it lists are left out" if choices else "it lists none for this token"
        yield f"WARNING  discovery finds no outbounds of the platform to poll: {why}"
