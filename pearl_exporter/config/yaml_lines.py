"""YAML into plain values, with the line of every key for messages that point at it.

It is stricter than PyYAML: duplicate keys, merge keys and explicit tags are refused, aliases can't
blow the document up, and a number that YAML 1.1 and YAML 1.2 read differently (``0x1F``, ``010``,
``12:30``, ``1_000``) becomes an `AmbiguousNumber`, which no setting accepts.
"""

import re
from dataclasses import dataclass, field

import yaml

from pearl_exporter.config.placeholders import placeholder_problem_of_line
from pearl_exporter.text import is_unicode

KeyPath = tuple[str | int, ...]
"""Where a value is, from the top: keys of mappings and indices of lists."""

_TAG = "tag:yaml.org,2002:"
_MAX_DEPTH = 20
_MAX_VALUES = 100_000
_MAX_NUMBER_CHARACTERS = 30
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
# PyYAML reads these as text, YAML 1.2 as numbers. An id must mean the same to every program.
_NUMBER_IN_YAML_1_2 = re.compile(rf"{_FLOAT.pattern}|[-+]?[0-9]+|0o[0-7]+")
_TAGS = "tags (written !name) are not supported"
_TRUE = frozenset({"true", "yes", "on"})
_QUOTED_IN_PROBLEM = re.compile(r"""(['"])(?!<)[^'"]{3,}\1""")


class YamlError(Exception):
    """The text can't be read as YAML. ``line`` counts from 1; it is 0 where no line is known."""

    def __init__(self, line: int, problem: str) -> None:
        self.line = line
        super().__init__(problem)


class AmbiguousNumber:
    """A number on which the versions of YAML disagree. Its text is in `Document.texts`."""


@dataclass(slots=True)
class Document:
    """A document that was read.

    Attributes:
        value: The plain value: mappings, lists and scalars; None for an empty document.
        lines: The line of each key and of each item of a list, counted from 1.
        texts: What the file has for each scalar that YAML does not read as text.
        problems: What is wrong although the rest could be read: (line, path, message).
    """

    value: object = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    texts: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[tuple[int, KeyPath, str]] = field(default_factory=list)


def read_yaml(text: str) -> Document:
    """Read one YAML document.

    Duplicate keys and the like raise nothing: they are in the document's ``problems``, so that they
    are reported together with all others.

    Raises:
        YamlError: The text can't be read at all.
    """
    try:
        return _read(text)
    except YamlError as error:
        # the fault may lie behind the last line, and in none if the line is 0
        line = dict(enumerate(text.splitlines(), 1)).get(error.line, "")
        problem = placeholder_problem_of_line(line)
        if problem is None:
            raise
        raise YamlError(error.line, problem) from None


def _read(text: str) -> Document:
    document = Document()
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            document.value = _Reader(document).value(node, ())
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(line, f"character {error.character:#06x} is not allowed") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # PyYAML quotes aliases and tags. A token that begins with * or ! looks like one of these.
        problem = _QUOTED_IN_PROBLEM.sub("…", error.problem or error.context or "can't be read")
        raise YamlError(mark.line + 1 if mark else 0, problem) from None
    except RecursionError:
        raise YamlError(0, "nested too deeply") from None
    return document


class _Reader:
    """PyYAML's nodes into values. It counts them, since an alias repeats its whole target."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._values = 0

    def value(self, node: yaml.Node, path: KeyPath) -> object:
        line = node.start_mark.line + 1
        self._values += 1
        if len(path) > _MAX_DEPTH:
            raise YamlError(line, "nested too deeply")
        if self._values > _MAX_VALUES:
            raise YamlError(line, f"more than {_MAX_VALUES} values, those of aliases included")
        self._document.lines.setdefault(path, line)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._add_problem(line, path, _TAGS)
        return None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        mapping: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlError(line, "a key must be a plain word")
            # A key is what is written: "on" as a label's name is the word, not a boolean.
            key: str = key_node.value
            here = (*path, key)
            if not is_unicode(key):
                self._add_problem(line, path, "a key is not valid Unicode text")
            elif key_node.tag == _TAG + "merge":
                self._add_problem(
                    line, path, "merge keys (<<) are not supported; write the keys out"
                )
            elif key in mapping:
                first = self._document.lines[here]
                self._add_problem(line, here, f"given twice, first on line {first}")
            else:
                self._document.lines[here] = line
                mapping[key] = self.value(value_node, here)
        return mapping

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        line = node.start_mark.line + 1
        text: str = node.value
        if not is_unicode(text):
            self._add_problem(line, path, "not valid Unicode text")
            return None
        kind = node.tag.removeprefix(_TAG)
        if kind == "str":
            # PyYAML reads text where YAML 1.2 reads a number: it is refused as a number is.
            kind = "float" if node.style is None and _NUMBER_IN_YAML_1_2.fullmatch(text) else kind
        if kind in {"str", "timestamp"}:  # 2020-01-01 is allowed as a name
            return text
        if kind not in {"null", "bool", "int", "float"}:
            self._add_problem(line, path, _TAGS)
            return None
        self._document.texts[path] = text
        return _plain(kind, text)

    def _add_problem(self, line: int, path: KeyPath, message: str) -> None:
        self._document.problems.append((line, path, message))


def _plain(kind: str, text: str) -> object:
    """Return the value of a scalar that is a null, bool, int or float."""
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in _TRUE
    if len(text) <= _MAX_NUMBER_CHARACTERS:
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        if text.lower().lstrip("+-") in {".inf", ".nan"}:
            return float(text.replace(".", ""))
    return AmbiguousNumber()
