"""The documentation has one sentence a line: a change of a sentence is then a change of a line."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project.test_docs import PAGES, prose

GENERATED_OR_HISTORY = {"CHANGELOG.md", "THIRD_PARTY.md"}
WRITTEN = [page for page in PAGES if page.name not in GENERATED_OR_HISTORY]
ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|approx|No)\.")
END = re.compile(r"[.?!][)\]\"'*_`]*(?= +[^a-z\s])")
"""The end of a sentence with another one behind it."""
ENDED = re.compile(r"[.?!:][)\]\"'*_`]*$")
BLOCK = re.compile(r" *(?:[-*>] |\d+\. |#|\||!\[|---|$)")
"""The beginning of a line that does not go on with the line above it."""


def lines(text: str) -> Iterator[tuple[str, str]]:
    """Each line of prose and the one below it; inline code and links' targets count as a word."""
    text = re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`\n]*`", "`code`", text))
    every = text.splitlines()
    for line, below in zip(every, [*every[1:], ""], strict=True):
        if not re.match(r" *(?:#|\|)", line):
            yield re.sub(r"^ *(?:[-*>]|\d+\.) ", "", line), below


def crowded(text: str) -> list[str]:
    """The lines that hold more than one sentence."""
    return [line for line, _ in lines(text) if END.search(ABBREVIATION.sub("", line))]


def broken(text: str) -> list[str]:
    """The lines in whose middle of a sentence the line ends."""
    return [
        line
        for line, below in lines(text)
        if line and not BLOCK.match(below) and not ENDED.search(line)
    ]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_a_line_holds_one_sentence(page: Path):
    assert crowded(prose(page)) == []
    assert broken(prose(page)) == []


@pytest.mark.parametrize(
    ("text", "is_crowded"),
    [
        ("One sentence. Another one.", True),
        ("- One sentence.** `code` begins another one.", True),
        ("Is it? (It is.)", True),
        ("| a table. With | two sentences. Here |", False),
        ("A name, e.g. Prometheus, or the file `a. B`.", False),
        ("Version 3.11 of it, at example.org.", False),
        ("1. An item of a list.", False),
    ],
)
def test_two_sentences_of_a_line_would_be_noticed(text, is_crowded):
    assert bool(crowded(text)) is is_crowded


def test_a_sentence_of_two_lines_would_be_noticed():
    assert broken("A sentence that goes\non here.") == ["A sentence that goes"]
    assert broken("A sentence.\nAnother one:\n\n- item\n- item") == []
