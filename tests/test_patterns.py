"""Expressions are matched against whole texts, in a time that no text can blow up."""

import pytest

from pearl_exporter.patterns import Pattern


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("vip", "vip", True),
        ("vip", "vips", False),
        ("vip|sales_.*", "sales_x", True),
        (".*", "two\nlines", True),
        ("", "", True),
        ("(?i)größe", "GRÖßE", True),
        (r"\pL+", "مهتم", True),
        (".*", "half a pair \ud800", False),
        ("a$", "a\n", False),
    ],
)
def test_it_fits_as_a_whole_or_not_at_all(pattern, text, matches):
    assert Pattern(pattern).matches(text) is matches


@pytest.mark.parametrize(
    "pattern", ["(a+)+", "(a|a)*", "(a|aa)+", "(.*)(.*)(.*)(.*)(.*)b", "(a*)*"]
)
def test_what_would_take_years_to_try_one_by_one_takes_none(pattern):
    assert not Pattern(pattern).matches("a" * 127 + "!")


@pytest.mark.parametrize(
    "pattern", ["(", "a{1001}", "(?!a)", r"(a)\1", "x" * 1_000_000, "[z-a]", "\udc80"]
)
def test_what_is_none_is_told(pattern):
    with pytest.raises(ValueError, match=r"\w"):
        Pattern(pattern)


def test_equal_ones_are_equal():
    assert Pattern("a") == Pattern("a") != Pattern("b")
    assert "a" in repr(Pattern("a"))
