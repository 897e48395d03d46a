"""``serve``: poll the configured outbounds and serve /metrics."""

import logging
import os
from pathlib import Path

from pearl_exporter import __version__
from pearl_exporter.app import build_app
from pearl_exporter.cli.exits import (
    listen_or_exit,
    load_settings_or_exit,
    open_store_or_exit,
    run_or_exit,
)
from pearl_exporter.config import ListenAddress, load_settings
from pearl_exporter.logs import dropped_lines, log_in_thread, set_up_logging
from pearl_exporter.reload import Reloader
from pearl_exporter.serving import hold_hangups, run

_log = logging.getLogger(__name__)


def run_serve(config: Path | None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        config: The configuration file; None for the environment alone.
    """
    hold_hangups()
    settings = load_settings_or_exit(config)
    set_up_logging(settings.log)
    log_in_thread()
    with listen_or_exit(settings.web.listen, "web.listen") as listener:
        address = ListenAddress(*listener.getsockname()[:2])

        def announce() -> None:
            _log.info(
                "listening",
                extra={
                    "address": str(address),
                    "version": __version__,
                    "outbounds": len(settings.outbounds),
                    "state": settings.state.url,
                },
            )

        app = build_app(
            settings,
            store=open_store_or_exit(settings.state.url),
            log_lines_dropped=dropped_lines,
        )
        reloader = Reloader(app, lambda: load_settings(config, os.environ), config)
        run_or_exit(run(app, listener, announce=announce, reload=reloader.reload))
