"""The image, built from the Dockerfile and run: read-only, without root, without capabilities."""

import signal
from collections.abc import Iterator

import pytest

from pearl_exporter import __version__
from pearl_exporter.config import load_settings
from tests.end_to_end.scrape import OPENMETRICS, Scrape
from tests.image.builder import build_image, build_stand_in, buildah_in
from tests.image.container import Container, Image, owned_by, running_container, unpacked
from tests.image.served import TOKEN, URL, running_api, serving_container
from tests.support.programs import eventually

pytestmark = pytest.mark.image

TAG = "localhost/pearl-exporter:test"


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Iterator[Image]:
    buildah = buildah_in(tmp_path_factory.mktemp("buildah"))
    build_stand_in(buildah)
    build_image(buildah, TAG)
    with unpacked(buildah, TAG) as built:
        yield built


def scrape(container: Container) -> Scrape:
    return Scrape(container.get(f"{URL}/metrics", OPENMETRICS))


def settled(container: Container) -> float:
    return sum(scrape(container).by_label("pearl_calls_total", "status").values())


# What is in it


def test_it_runs_as_a_numbered_user_and_stops_by_sigterm(image):
    assert image.config["User"] == "10001:10001"
    assert image.config["StopSignal"] == "SIGTERM"
    assert image.config["Cmd"] == ["serve"]
    assert image.config["ExposedPorts"] == {"10042/tcp": {}}


def test_its_labels_say_what_it_is(image):
    labels = {
        name.rpartition("org.opencontainers.image.")[2]: text
        for name, text in image.config["Labels"].items()
        if name.startswith("org.opencontainers.image.")
    }
    assert labels["title"] == "pearl-exporter"
    assert labels["version"] == __version__
    assert labels["licenses"] == "Apache-2.0"


def test_the_state_is_on_the_volume_by_an_absolute_url(image):
    (volume,) = image.config["Volumes"]
    environ = dict(each.split("=", 1) for each in image.config["Env"])
    settings = load_settings(None, environ | {"PEARL_API_TOKEN": TOKEN, "PEARL_OUTBOUNDS": "a"})
    assert settings.state.url == f"sqlite:///{volume}/pearl-exporter.db"
    folder = (image.root / volume.lstrip("/")).stat()
    # group 0 is that of the numbered users that OpenShift makes up
    assert (folder.st_uid, folder.st_gid, folder.st_mode & 0o777) == (10001, 0, 0o770)


@pytest.mark.parametrize("tool", ["pip", "pip3", "gcc", "cc", "make", "ld", "git"])
def test_no_build_tool_is_left(image, tool):
    places = ["bin", "usr/bin", "usr/local/bin", "opt/pearl-exporter/bin"]
    assert not [place for place in places if (image.root / place / tool).exists()]


def test_neither_pip_nor_sources_nor_caches_are_left(image):
    assert not list(image.root.glob("usr/**/*-packages/pip"))
    assert not list(image.root.glob("opt/**/*-packages/pip"))
    assert not (image.root / "src").exists()
    assert not (image.root / "root" / ".cache").exists()


def test_every_module_of_the_program_is_compiled(image):
    sources = list(image.root.glob("opt/**/pearl_exporter/**/*.py"))
    compiled = list(image.root.glob("opt/**/pearl_exporter/**/*.pyc"))
    assert len(compiled) == len(sources) > 50


# The demo


def test_the_demo_runs_confined_and_is_scraped(image, tmp_path):
    volume = owned_by(image, tmp_path / "volume")
    command = ("demo", "--listen", ":10042")
    with running_container(image, tmp_path / "demo", *command, volume=volume) as demo:
        demo.process.says("pearl-exporter demo")
        up = {"spring-renewals"}
        eventually(lambda: up <= {name for name, on in _up(demo).items() if on}, what="polls")
        assert demo.health() == 0
        status = demo.status()
        assert set(status["Uid"].split()) == {"10001"}
        assert set(status["Gid"].split()) == {"10001"}
        assert status["NSpid"].split()[-1] == "1"
        assert status["NoNewPrivs"] == "1"
        assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
        assert demo.stop() == 0


def _up(container: Container) -> dict[str, float]:
    return dict(scrape(container).by_label("pearl_outbound_up", "outbound"))


# The real thing, over a simulated API in a container of its own


@pytest.fixture
def api(image, tmp_path) -> Iterator[Container]:
    with running_api(image, tmp_path / "api") as api:
        yield api


def test_serve_polls_keeps_its_counters_and_stops(image, tmp_path, api):
    volume = owned_by(image, tmp_path / "volume")
    with serving_container(api, tmp_path / "first", volume) as exporter:
        exporter.process.says("listening")
        eventually(lambda: settled(exporter) > 0, what="calls are counted")
        assert exporter.health() == 0
        counted = settled(exporter)
        exporter.kill()
    assert {path.name for path in volume.iterdir()} >= {"pearl-exporter.db"}
    with serving_container(api, tmp_path / "second", volume) as exporter:
        exporter.process.says("listening")
        eventually(lambda: exporter.health() == 0, what="it is healthy")
        assert settled(exporter) >= counted
        assert exporter.stop() == 0
        assert "stopped" in exporter.process.stderr


def test_a_second_exporter_on_one_volume_refuses_to_start(image, tmp_path, api):
    volume = owned_by(image, tmp_path / "volume")
    with serving_container(api, tmp_path / "first", volume) as first:
        first.process.says("listening")
        env = {"PEARL_WEB__LISTEN": "127.0.0.1:0", "PEARL_OUTBOUNDS": "a", "PEARL_API_TOKEN": TOKEN}
        with running_container(
            image, tmp_path / "other", volume=volume, env=env, network_of=first
        ) as second:
            assert second.process.ends(seconds=10) == 2
            assert "in use by another pearl-exporter" in second.process.stderr


def test_the_health_check_fails_where_nothing_answers(image, api):
    assert api.health() != 0


def test_a_frozen_exporter_is_not_healthy(image, tmp_path, api):
    volume = owned_by(image, tmp_path / "volume")
    with serving_container(api, tmp_path / "frozen", volume) as exporter:
        exporter.process.says("listening")
        eventually(lambda: exporter.health() == 0, what="it is healthy")
        exporter.send(signal.SIGSTOP)
        assert exporter.health() != 0
        exporter.send(signal.SIGCONT)
        assert exporter.stop() == 0
