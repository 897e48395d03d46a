"""A proxy that strips a prefix from paths, such as nginx with ``location /pearl/``."""

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class Prefixed:
    """An application under a prefix that it does not know of; everything else is 404."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(f"{self._prefix}/"):
            await PlainTextResponse("not of the exporter", 404)(scope, receive, send)
            return
        raw_path = scope["raw_path"].removeprefix(self._prefix.encode())
        path = scope["path"].removeprefix(self._prefix)
        await self._app({**scope, "path": path, "raw_path": raw_path}, receive, send)
