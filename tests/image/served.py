"""``serve`` in a container, over a simulated API in another one."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.image.container import Container, Image, owned_by, running_container

URL = "http://127.0.0.1:10042"
API = "http://127.0.0.1:10043"
TOKEN = "account:secret"
_TOKEN_FILE = "/run/secrets/nlpearl-token"


@contextmanager
def running_api(image: Image, folder: Path) -> Iterator[Container]:
    """The simulated API with one outbound, in a network of its own."""
    volume = owned_by(image, folder / "volume")
    command = ("simulate", "--token", TOKEN, "--outbounds", "1")
    with running_container(image, folder, *command, volume=volume) as api:
        api.process.says("listens on")
        yield api


def serving_container(
    api: Container, folder: Path, volume: Path
) -> AbstractContextManager[Container]:
    """``serve`` by environment variables alone, with the token as a file, in the API's network."""
    (outbound,) = json.loads(api.get(f"{API}/_sim/state"))["outbounds"]
    folder.mkdir(parents=True)
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o444)
    env = {
        "PEARL_API_URL": API,
        "PEARL_API_TOKEN_FILE": _TOKEN_FILE,
        "PEARL_OUTBOUNDS": f"{outbound['id']}=spring-renewals",
        "PEARL_POLL__INTERVAL": "1s",
        "PEARL_POLL__SETTLE": "1s",
        "PEARL_API__RATE_LIMIT": "50",
    }
    files = {token: _TOKEN_FILE}
    return running_container(api.image, folder, volume=volume, env=env, files=files, network_of=api)
