"""Tables: a row for each label set, a column for each query, all as of now."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, table
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
)

from deploy.grafana.generate import panels, queries
from deploy.grafana.generate.panels import About


class Column(NamedTuple):
    """A query and how its values look.

    Attributes:
        name: The column's title; "" for a query that only brings its labels.
        expr: The query; its labels are those of the rows.
        unit: Grafana's name of the unit.
        decimals: How many, None for as many as fit.
        steps: The colours of the values, if any.
        filled: Whether the cells are coloured, not the values alone.
        values: A text and a colour for each value, if any.
    """

    name: str
    expr: str
    unit: str
    decimals: int | None = 0
    steps: panels.Steps | None = None
    values: Mapping[str, tuple[str, str]] | None = None
    filled: bool = False


def rows(about: About, labels: Mapping[str, str], columns: Sequence[Column]) -> table.Panel:
    """A table of the columns' queries, joined by these labels, shown under these titles."""
    panel = (
        table.Panel()
        .span(24)
        .height(8)
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .thresholds(panels.thresholds(panels.PLAIN))
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            DataTransformerConfig(id_val="organize", options=_organized(labels, columns))
        )
    )
    for each in filter(lambda column: column.name, columns):
        panel.override_by_name(each.name, _shown(each))
    return panels.filled(panel, about, [queries.column(each.expr) for each in columns])


def sorted_by(panel: table.Panel, *columns: tuple[str, bool]) -> table.Panel:
    """Sorts by columns, each with whether its largest value comes first."""
    return panel.sort_by(
        [common.TableSortByFieldState().display_name(name).desc(desc) for name, desc in columns]
    )


def _organized(labels: Mapping[str, str], columns: Sequence[Column]) -> dict[str, Any]:
    names = {_value(place, len(columns)): each.name for place, each in enumerate(columns)}
    left_out = ["Time", "__name__", "job", *(value for value, name in names.items() if not name)]
    renamed = {name: title for name, title in {**labels, **names}.items() if title}
    return {
        "excludeByName": dict.fromkeys(left_out, True),
        "indexByName": {name: place for place, name in enumerate(renamed)},
        "renameByName": renamed,
    }


def _value(place: int, queries_in_all: int) -> str:
    """What Grafana calls the values of a query: by its letter where it is not the only one."""
    return "Value" if queries_in_all == 1 else f"Value #{chr(ord('A') + place)}"


def _shown(column: Column) -> list[DynamicConfigValue]:
    properties = [
        DynamicConfigValue("unit", column.unit),
        DynamicConfigValue("custom.minWidth", 90),
    ]
    if column.decimals is not None:
        properties.append(DynamicConfigValue("decimals", column.decimals))
    if column.values:
        properties.append(DynamicConfigValue("mappings", [panels.value_map(column.values)]))
        properties.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    if column.steps:
        steps = panels.thresholds(column.steps).build()
        cell = {"type": "color-text"}
        if column.filled:
            cell = {"type": "color-background", "mode": "basic"}
        properties.append(DynamicConfigValue("thresholds", steps))
        properties.append(DynamicConfigValue("custom.cellOptions", cell))
    return properties
