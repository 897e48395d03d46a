"""Whatever a file or the environment holds: settings, or problems of one line each."""

import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.config import ConfigError, Settings, load_settings
from tests.config.loading import CONFIG, TOKEN
from tests.config.values import KEYS, MANY, VALUES
from tests.support.config_keys import settings_keys

pytestmark = pytest.mark.usefixtures("own_folder")


SECTION_KEYS = st.sampled_from(["api", "poll", "outbounds", "metrics", "state", "web", "log"])


@MANY
@given(st.binary(max_size=200) | st.text(string.printable, max_size=200).map(str.encode))
def test_any_bytes_are_settings_or_one_line_problems(content):
    assert_settings_or_problems(content, TOKEN)


@MANY
@given(st.dictionaries(SECTION_KEYS | KEYS, VALUES, max_size=5))
def test_any_structure_is_settings_or_one_line_problems(top):
    for unicode in (True, False):
        text = yaml.safe_dump(top, allow_unicode=unicode)
        assert_settings_or_problems(text.encode("utf-8", "surrogatepass"), TOKEN)


@MANY
@given(
    st.dictionaries(
        st.sampled_from([key.variable for key in settings_keys() if key.variable])
        | st.text(string.ascii_uppercase + "_", max_size=8).map("PEARL_POLL__".__add__)
        | st.just("PEARL_OUTBOUNDS"),
        st.text(max_size=20) | st.sampled_from(["1s", "2h", "1", "1,2", "true", "a=b,c"]),
        max_size=5,
    )
)
def test_any_environment_is_settings_or_one_line_problems(environ):
    assert_settings_or_problems(b"", environ)


def assert_settings_or_problems(content, environ):
    CONFIG.write_bytes(content)
    try:
        loaded = load_settings(CONFIG, environ)
    except ConfigError as error:
        told = error.problems
    else:
        assert isinstance(loaded, Settings)
        return
    assert told
    assert all(problem.isprintable() for problem in told)
