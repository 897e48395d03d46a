"""Tables: a row for each label set, a column for each query, at the end of the time range."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, table
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
)

from tools.dashboards import panels, queries
from tools.dashboards.panels import PanelInfo


class Column(NamedTuple):
    """A query of a table and how its values look.

    Attributes:
        name: Title of the column. "" for a query of which only the labels are shown.
        expr: The query. Its labels identify the rows.
        unit: Grafana's name for the unit.
        decimals: Number of decimals. None lets Grafana choose.
        steps: Colours of the values.
        filled: Whether the whole cell is coloured, not only its text.
        values: A text and a colour for each value.
    """

    name: str
    expr: str
    unit: str
    decimals: int | None = 0
    steps: panels.Steps | None = None
    values: Mapping[str, tuple[str, str]] | None = None
    filled: bool = False


def rows(info: PanelInfo, labels: Mapping[str, str], columns: Sequence[Column]) -> table.Panel:
    """Return a table of the columns, joined by ``labels`` (label name to column title)."""
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
    return panels.with_queries(panel, info, [queries.table_column(each.expr) for each in columns])


def sorted_by(panel: table.Panel, *columns: tuple[str, bool]) -> table.Panel:
    """Return the table sorted by columns, each given with whether it is in descending order."""
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
    """Return Grafana's name for the values of a query, which depends on the number of queries."""
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
