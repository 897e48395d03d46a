"""The configuration file itself: missing, unreadable, or not a mapping in YAML."""

from pathlib import Path

import pytest

from pearl_exporter.config import ConfigError, load_settings
from tests.config.loading import TOKEN, load, problems_of

pytestmark = pytest.mark.usefixtures("own_folder")


def test_a_file_that_is_not_there():
    with pytest.raises(ConfigError) as caught:
        load_settings(Path("gone.yml"), TOKEN)
    (problem,) = caught.value.problems
    assert problem == (
        "gone.yml: can't be read: No such file or directory, from the working directory "
        f"{Path.cwd()}; name the file by --config or PEARL_CONFIG"
    )


def test_a_directory_and_an_impossible_path():
    Path("dir").mkdir()
    for path, reason in (("dir", "can't be read: Is a directory"), ("a\0b", "embedded null byte")):
        with pytest.raises(ConfigError, match=reason):
            load_settings(Path(path), TOKEN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"api:\n  url: \xff", "config.yml: not UTF-8 text (line 2)"),
        (b"#" * (1024 * 1024 + 1), "config.yml: is larger than 1 MiB; is it the right file?"),
        (
            "- a",
            (
                "config.yml: wanted a mapping of api, poll, signals, outbounds, discovery, "
                "account, metrics, state, web, log"
            ),
        ),
        (
            "api: [",
            "config.yml:1: not valid YAML: expected the node content, but found '<stream end>'",
        ),
        (
            "api:\n\tx: 1",
            r"config.yml:2: not valid YAML: found character '\t' that cannot start any token",
        ),
        ("a: 1\n---\nb: 1", "config.yml:2: not valid YAML: but found another document"),
        ("a: \x00", "config.yml:1: not valid YAML: character 0x0000 is not allowed"),
        (
            "\n\napi: {token: *secret-token}",
            "config.yml:3: not valid YAML: found undefined alias …",
        ),
        ("[" * 5000, "config.yml: not valid YAML: nested too deeply"),
        ("&a [*a]", "config.yml:1: not valid YAML: nested too deeply"),
    ],
)
def test_a_file_that_is_no_configuration(text, message):
    assert problems_of(text) == [message]


def test_aliases_can_not_blow_the_file_up():
    lines = ["a0: &a0 [x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)
    ]
    assert problems_of("\n".join(lines)) == [
        "config.yml:1: not valid YAML: more than 100000 values, those of aliases included"
    ]


def test_an_alias_is_fine():
    loaded = load("outbounds:\n- {id: a, labels: &l {team: x}}\n- {id: b, labels: *l}")
    assert loaded.outbounds[1].labels == {"team": "x"}
