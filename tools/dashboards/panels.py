"""One function for each kind of panel, so that all panels of a kind look the same."""

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

from tools.dashboards.queries import DATA_SOURCE

CALLS_A_MINUTE = "suffix:calls/min"
SHARE = "percentunit"
SECONDS = "s"
COUNT = "short"
MOMENT = "dateTimeFromNow"
"""Milliseconds since the epoch, shown as how long ago that is."""

Steps = Sequence[tuple[float | None, str]]
"""Colours, each from its value upwards. The value of the first colour is None."""

PLAIN: Steps = ((None, "text"),)
GOOD_IF_ONE: Steps = ((None, "red"), (1, "green"))
BAD_IF_ANY: Steps = ((None, "green"), (1, "red"))

YES_NO = {"1": ("yes", "green"), "0": ("no", "red")}

Panel = TypeVar("Panel", bound=Any)


class PanelInfo(NamedTuple):
    """Title and description of a panel, and Grafana's name for its unit."""

    title: str
    description: str
    unit: str


def with_queries(panel: Panel, info: PanelInfo, targets: Sequence[prometheus.Dataquery]) -> Panel:
    """Return the panel with title, description, unit, and its queries named A, B, C and so on."""
    panel.title(info.title).description(info.description).unit(info.unit)
    panel.datasource(DATA_SOURCE)
    for ref_id, target in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", targets, strict=False):
        panel.with_target(target.ref_id(ref_id))
    return panel


def time_series(info: PanelInfo, *targets: prometheus.Dataquery) -> timeseries.Panel:
    """Return lines over time. The panel is half as wide as the grid, its axis begins at 0."""
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
    return with_queries(panel, info, targets)


def ranked(panel: timeseries.Panel) -> timeseries.Panel:
    """Return the panel with a legend at its side, the largest series first: for many series."""
    legend = _legend(styles.LegendDisplayMode.TABLE, "lastNotNull")
    beside = legend.placement(styles.LegendPlacement.RIGHT)
    return panel.legend(beside.sort_by("Last *").sort_desc(True))


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """Return the panel with its series stacked: for series whose sum has a meaning."""
    return panel.fill_opacity(70).stacking(
        common.StackingConfig().mode(styles.StackingMode.NORMAL).group("A")
    )


def stacked_and_ranked(panel: timeseries.Panel) -> timeseries.Panel:
    """Return the panel with its series stacked and a legend at its side."""
    return ranked(stacked(panel))


def with_colours(panel: Panel, colours: Mapping[str, str]) -> Panel:
    """Return the panel with a fixed colour for each named series."""
    for name, colour in colours.items():
        panel.override_by_name(
            name,
            [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})],
        )
    return panel


def dashed(panel: timeseries.Panel, name: str, colour: str) -> timeseries.Panel:
    """Return the panel with one series drawn as a limit: a dashed line without filling."""
    return panel.override_by_name(
        name,
        [
            DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour}),
            DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
            DynamicConfigValue("custom.fillOpacity", 0),
            DynamicConfigValue("custom.lineWidth", 2),
        ],
    )


def without_legend(panel: timeseries.Panel, name: str) -> timeseries.Panel:
    """Return the panel with one series left out of the legend."""
    hidden = {"legend": True, "tooltip": False, "viz": False}
    return panel.override_by_name(name, [DynamicConfigValue("custom.hideFrom", hidden)])


def with_limit(panel: timeseries.Panel, value: float) -> timeseries.Panel:
    """Return the panel with a constant limit, drawn as a dashed line."""
    return panel.thresholds(thresholds(((None, "transparent"), (value, "red")))).thresholds_style(
        common.GraphThresholdsStyleConfig().mode(styles.GraphThresholdsStyleMode.DASHED)
    )


def single_stat(info: PanelInfo, target: prometheus.Dataquery, steps: Steps = PLAIN) -> stat.Panel:
    """Return one number at the end of the range, coloured by its steps."""
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
    return with_queries(panel, info, (target,))


def bar_gauge(info: PanelInfo, target: prometheus.Dataquery) -> bargauge.Panel:
    """Return one horizontal bar for each series, at the end of the range."""
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
    return with_queries(panel, info, (target,))


def state_timeline(
    info: PanelInfo,
    values: Mapping[str, tuple[str, str]],
    *targets: prometheus.Dataquery,
) -> statetimeline.Panel:
    """Return a band for each series, coloured by its value."""
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
    return with_queries(panel, info, targets)


def heatmap_panel(info: PanelInfo, target: prometheus.Dataquery) -> heatmap.Panel:
    """Return the buckets of a histogram over time. The unit is of a cell, bounds are in seconds."""
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
        .cell_values(heatmap.CellValues().unit(info.unit))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .y_axis(heatmap.YAxisConfig().unit(SECONDS).axis_placement(styles.AxisPlacement.LEFT))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(styles.HeatmapCellLayout.LE))
        .exemplars_color("rgba(255,255,255,0.8)")
        .show_legend()
        .mode(styles.TooltipDisplayMode.SINGLE)
    )
    return with_queries(panel, info, (target,))


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    """Return absolute thresholds."""
    return (
        dashboard.ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=colour) for value, colour in steps])
    )


def value_map(values: Mapping[str, tuple[str, str]]) -> ValueMap:
    """Return a mapping of each value to a text and a colour."""
    return ValueMap(
        options={
            value: ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(values.items())
        }
    )


def _legend(mode: styles.LegendDisplayMode, *calculations: str) -> common.VizLegendOptions:
    """Return a legend below the graph, with these calculations for each series."""
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(mode)
        .placement(styles.LegendPlacement.BOTTOM)
        .calcs(list(calculations))
    )
