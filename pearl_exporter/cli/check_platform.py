"""What the platform itself says, for ``check``: its list of outbounds, and the account."""

from collections import Counter
from collections.abc import Iterator

from pearl_exporter.app import App
from pearl_exporter.config import Settings
from pearl_exporter.discovery.platform import LIST_OF_OUTBOUNDS
from pearl_exporter.discovery.selection import Selection
from pearl_exporter.errors import PollError

MOST_TOLD = 50
"""So many outbounds that are not polled are named; the rest are counted."""

_WHY = {
    Selection.EXCLUDED: "excluded by discovery.include or discovery.exclude",
    Selection.PAUSED: "paused or suspended, by discovery.paused",
    Selection.OVER_LIMIT: "over discovery.max_outbounds",
}


async def ask_platform(app: App, settings: Settings) -> tuple[list[str], bool]:
    """Asks for what discovery and account want; gives lines to print, and whether all is well."""
    failures = await app.platform.once(retries=False)
    lines = [_failed(subject, error) for subject, error in failures]
    failed = {subject for subject, _ in failures}
    if settings.discovery.enabled and LIST_OF_OUTBOUNDS not in failed:
        lines += _found(app, settings)
    account = app.platform.snapshot().account
    if account is not None:
        status = next((label for label, is_it in account.statuses.items() if is_it), "unknown")
        lines.append(f"ok    the account: its status is {status}")
    return lines, not failures


def _failed(subject: str, error: PollError) -> str:
    return f"FAIL  {subject}: {error.reason}: {error}"


def _found(app: App, settings: Settings) -> Iterator[str]:
    choices = app.platform.choices(settings)
    counts = Counter(choice.selection for choice in choices)
    told = ", ".join(f"{counts[each]} {each.value.replace('_', ' ')}" for each in Selection)
    yield f"ok    {LIST_OF_OUTBOUNDS}: {len(choices)} outbounds ({told})"
    unpolled = [choice for choice in choices if choice.selection in _WHY]
    for choice in unpolled[:MOST_TOLD]:
        yield f"skip  {choice.label} ({choice.outbound.id}): {_WHY[choice.selection]}"
    if len(unpolled) > MOST_TOLD:
        yield f"skip  {len(unpolled) - MOST_TOLD} more"
    if len(unpolled) == len(choices):
        why = "none that it lists is left" if choices else "it lists none to this token"
        yield f"WARNING  discovery finds no outbounds of the platform to poll: {why}"
