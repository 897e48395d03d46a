"""How a panel looks: one function for each kind, with the same defaults everywhere."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.models import common as styles
from grafana_foundation_sdk.models import heatmap as heatmap_model
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

from deploy.grafana.generate.queries import DATA_SOURCE

CALLS_A_MINUTE = "suffix:calls/min"
SHARE = "percentunit"
SECONDS = "s"
COUNT = "short"
MOMENT = "dateTimeFromNow"
"""Milliseconds since the epoch, shown as how long ago it was."""

Steps = Sequence[tuple[float | None, str]]
"""Colours, each from its value on; the first one's is None."""

PLAIN: Steps = ((None, "text"),)
GOOD_IF_ONE: Steps = ((None, "red"), (1, "green"))
BAD_IF_ANY: Steps = ((None, "green"), (1, "red"))

YES_NO = {"1": ("yes", "green"), "0": ("no", "red")}

Panel = TypeVar("Panel", bound=Any)


class About(NamedTuple):
    """What a panel says of itself; the unit is Grafana's name of it."""

    title: str
    description: str
    unit: str


def filled(panel: Panel, about: About, targets: Sequence[prometheus.Dataquery]) -> Panel:
    """A panel with its title, description and unit, and its queries named A, B, C and on."""
    panel.title(about.title).description(about.description).unit(about.unit)
    panel.datasource(DATA_SOURCE)
    for ref_id, target in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", targets, strict=False):
        panel.with_target(target.ref_id(ref_id))
    return panel


def graph(about: About, *targets: prometheus.Dataquery) -> timeseries.Panel:
    """Lines over time, half as wide as the grid, from 0 on."""
    panel = (
        timeseries.Panel()
        .span(12)
        .height(8)
        .min(0)
        .line_width(1)
        .fill_opacity(10)
        .show_points(styles.VisibilityMode.NEVER)
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .legend(_legend(styles.LegendDisplayMode.LIST, "lastNotNull"))
        .tooltip(
            common.VizTooltipOptions()
            .mode(styles.TooltipDisplayMode.MULTI)
            .sort(styles.SortOrder.DESCENDING)
        )
    )
    return filled(panel, about, targets)


def ranked(panel: timeseries.Panel) -> timeseries.Panel:
    """With the names beside the graph, the largest on top: for many series."""
    legend = _legend(styles.LegendDisplayMode.TABLE, "lastNotNull")
    beside = legend.placement(styles.LegendPlacement.RIGHT)
    return panel.legend(beside.sort_by("Last *").sort_desc(True))


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """The series on top of each other: their sum is worth seeing."""
    return panel.fill_opacity(70).stacking(
        common.StackingConfig().mode(styles.StackingMode.NORMAL).group("A")
    )


def ranked_stack(panel: timeseries.Panel) -> timeseries.Panel:
    """Many series on top of each other, with their names beside them."""
    return ranked(stacked(panel))


def coloured(panel: Panel, colours: Mapping[str, str]) -> Panel:
    """The same thing in the same colour everywhere."""
    for name, colour in colours.items():
        panel.override_by_name(
            name,
            [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})],
        )
    return panel


def dashed(panel: timeseries.Panel, name: str, colour: str) -> timeseries.Panel:
    """A series drawn as a limit: a dashed line over the others, nothing filled."""
    return panel.override_by_name(
        name,
        [
            DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour}),
            DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
            DynamicConfigValue("custom.fillOpacity", 0),
            DynamicConfigValue("custom.lineWidth", 2),
        ],
    )


def unnamed(panel: timeseries.Panel, name: str) -> timeseries.Panel:
    """A series that the legend leaves out."""
    hidden = {"legend": True, "tooltip": False, "viz": False}
    return panel.override_by_name(name, [DynamicConfigValue("custom.hideFrom", hidden)])


def limit(panel: timeseries.Panel, value: float) -> timeseries.Panel:
    """A limit that is the same for all, drawn as a dashed line."""
    return panel.thresholds(thresholds(((None, "transparent"), (value, "red")))).thresholds_style(
        common.GraphThresholdsStyleConfig().mode(styles.GraphThresholdsStyleMode.DASHED)
    )


def number(about: About, target: prometheus.Dataquery, steps: Steps = PLAIN) -> stat.Panel:
    """One number as of now, coloured by its steps."""
    panel = (
        stat.Panel()
        .span(3)
        .height(4)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(styles.BigValueColorMode.VALUE)
        .graph_mode(styles.BigValueGraphMode.NONE)
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .thresholds(thresholds(steps))
    )
    return filled(panel, about, (target,))


def bars(about: About, target: prometheus.Dataquery) -> bargauge.Panel:
    """One horizontal bar for each series, as of now."""
    panel = (
        bargauge.Panel()
        .span(8)
        .height(9)
        .min(0)
        .orientation(styles.VizOrientation.HORIZONTAL)
        .display_mode(styles.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .text(common.VizTextDisplayOptions().title_size(14).value_size(14))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.FIXED).fixed_color("blue"))
    )
    return filled(panel, about, (target,))


def states(
    about: About,
    values: Mapping[str, tuple[str, str]],
    *targets: prometheus.Dataquery,
) -> statetimeline.Panel:
    """A band for each series, coloured by its value."""
    panel = (
        statetimeline.Panel()
        .span(12)
        .height(8)
        .mappings([value_map(values)])
        .row_height(0.8)
        .show_value(styles.VisibilityMode.NEVER)
        .merge_values(True)
        .legend(_legend(styles.LegendDisplayMode.LIST))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .thresholds(thresholds(PLAIN))
    )
    return filled(panel, about, targets)


def heat(about: About, target: prometheus.Dataquery) -> heatmap.Panel:
    """The buckets of a histogram over time; the unit is that of a cell, the bounds are seconds."""
    panel = (
        heatmap.Panel()
        .span(12)
        .height(9)
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_model.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .scale(heatmap_model.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
            .fill("dark-orange")
        )
        .cell_gap(1)
        .cell_values(heatmap.CellValues().unit(about.unit))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .y_axis(heatmap.YAxisConfig().unit(SECONDS).axis_placement(styles.AxisPlacement.LEFT))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(styles.HeatmapCellLayout.LE))
        .exemplars_color("rgba(255,255,255,0.8)")
        .show_legend()
        .mode(styles.TooltipDisplayMode.SINGLE)
    )
    return filled(panel, about, (target,))


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    """Absolute thresholds."""
    return (
        dashboard.ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=colour) for value, colour in steps])
    )


def value_map(values: Mapping[str, tuple[str, str]]) -> ValueMap:
    """A text and a colour for each value."""
    return ValueMap(
        options={
            value: ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(values.items())
        }
    )


def _legend(mode: styles.LegendDisplayMode, *calculations: str) -> common.VizLegendOptions:
    """The names below the graph, each with these figures of it."""
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(mode)
        .placement(styles.LegendPlacement.BOTTOM)
        .calcs(list(calculations))
    )
