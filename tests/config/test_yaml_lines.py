"""YAML with the line of every key, and none of YAML's traps."""

import math
from contextlib import suppress

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pearl_exporter.config.yaml_lines import AmbiguousNumber, YamlError, read_yaml


def test_every_key_and_item_has_its_line():
    document = read_yaml("a:\n  b: 1\nc:\n  - x\n  - d: 2\n")
    assert document.value == {"a": {"b": 1}, "c": ["x", {"d": 2}]}
    assert document.lines == {
        (): 1,
        ("a",): 1,
        ("a", "b"): 2,
        ("c",): 3,
        ("c", 0): 4,
        ("c", 1): 5,
        ("c", 1, "d"): 5,
    }
    assert document.texts == {("a", "b"): "1", ("c", 1, "d"): "2"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("yes", True),
        ("off", False),
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("'12'", "12"),
        ("2020-01-01", "2020-01-01"),
        ("65f1c0ffee", "65f1c0ffee"),
        ("1.2.3", "1.2.3"),
        ("a:b", "a:b"),
    ],
)
def test_scalars(text, value):
    assert read_yaml(text).value == value


@pytest.mark.parametrize(
    "text", ["010", "089", "0o17", "0x1F", "0b1", "1_000", "12:30", "1:30.5", "9" * 5000]
)
def test_a_number_on_which_versions_disagree_is_no_number(text):
    document = read_yaml(f"a: {text}")
    assert isinstance(document.value["a"], AmbiguousNumber)
    assert document.texts["a",] == text


def test_keys_are_the_words_that_were_written():
    assert read_yaml("{on: 1, 007: 2, ~: 3, 1.0: 4}").value == {"on": 1, "007": 2, "~": 3, "1.0": 4}


def test_a_document_with_faults_is_still_read():
    document = read_yaml('a: 1\na: 2\nb: !x 1\nc: "\\ud800"\n<<: {d: 1}\n"\\udfff": 1\ne: !!set {}')
    assert document.value == {"a": 1, "b": None, "c": None, "e": None}
    assert document.problems == [
        (2, ("a",), "given twice, first on line 1"),
        (3, ("b",), "tags (written !name) are not supported"),
        (4, ("c",), "not valid Unicode text"),
        (5, (), "merge keys (<<) are not supported; write the keys out"),
        (6, (), "a key is not valid Unicode text"),
        (7, ("e",), "tags (written !name) are not supported"),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: [", 1), ("? [a]\n: b", 1), ("a:\n- \x07", 2), ("--- a\n--- b", 2), ("'\n", 2)],
)
def test_what_can_not_be_read_has_a_line(text, line):
    with pytest.raises(YamlError) as caught:
        read_yaml(text)
    assert caught.value.line == line


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=10,
)


@settings(deadline=None)
@given(PLAIN, st.booleans())
def test_reads_back_what_pyyaml_writes(value, flow):
    document = read_yaml(yaml.safe_dump(value, default_flow_style=flow))
    assert not document.problems
    assert document.value == value


@settings(deadline=None)
@given(st.text(max_size=100))
def test_any_text_is_read_or_refused(text):
    with suppress(YamlError):
        assert read_yaml(text).lines.get((), 1) >= 1
