"""Progress bars on a terminal; nothing if standard error is no terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pearl_exporter.polling.context import ProgressListener


@contextmanager
def progress_bars() -> Iterator[ProgressListener]:
    """Yield a listener that shows a bar for each outbound of more than one page."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("calls"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, object] = {}

        def show(name: str, received: int, expected: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name)
            progress.update(tasks[name], completed=received, total=expected)  # type: ignore[arg-type]

        yield show
