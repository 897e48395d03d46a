"""A query taken apart by Prometheus' grammar."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

import promql_parser

RATE_INTERVAL = timedelta(seconds=4242)
RANGE = timedelta(seconds=123456)
"""Stand for $__rate_interval and $__range, which are no durations to Prometheus."""


class Selected(NamedTuple):
    """A selector of a query.

    Attributes:
        metric: The metric's name.
        matchers: The operator and the value of each label.
        functions: The functions around it, the innermost first.
        range: Of a matrix selector, else None.
    """

    metric: str
    matchers: dict[str, tuple[str, str]]
    functions: tuple[str, ...]
    range: timedelta | None


def selectors(expr: str) -> list[Selected]:
    """Every selector of a query. Raises ValueError for what is no PromQL."""
    text = expr.replace("$__rate_interval", "4242s").replace("$__range", "123456s")
    # this parser finds escapes between backticks, where Prometheus' own has none
    text = re.sub("`([^`]*)`", lambda found: json.dumps(found[1], ensure_ascii=False), text)
    return list(_within(promql_parser.parse(text), ()))


def _within(node: object, functions: tuple[str, ...]) -> Iterator[Selected]:
    match type(node).__name__:
        case "VectorSelector":
            yield _selected(node, functions, None)
        case "MatrixSelector":
            yield _selected(node.vector_selector, functions, node.range)
        case "Call":
            for argument in node.args:
                yield from _within(argument, (node.func.name, *functions))
        case "BinaryExpr":
            yield from _within(node.lhs, functions)
            yield from _within(node.rhs, functions)
        case "AggregateExpr" | "ParenExpr" | "UnaryExpr":
            yield from _within(node.expr, functions)
        case "NumberLiteral" | "StringLiteral":
            return
        case other:
            raise ValueError(f"no rule for a {other} in a query")


def _selected(selector: object, functions: tuple[str, ...], over: timedelta | None) -> Selected:
    operators = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
    matchers = {
        each.name: (operators[str(each.op).rpartition(".")[2]], each.value)
        for each in selector.matchers.matchers
    }
    return Selected(selector.name, matchers, functions, over)
