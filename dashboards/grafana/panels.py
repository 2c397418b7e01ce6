"""Panels: each function draws one kind; title, description and unit are never left out.

Widths are of a grid of 24. Thresholds are (from, colour) in rising order; the first colour holds below all of them.
Units are Grafana's: `short`, `percentunit` (a fraction shown as per cent), `s`, `bytes`, `locale` (money, in full) ...
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    common,
    dashboard,
    heatmap,
    piechart,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heat_words
from grafana_foundation_sdk.models import piechart as pie_words

from dashboards.grafana.queries import Question

Thresholds = Sequence[tuple[float | None, str]]
Panel = Builder[model.Panel]

GOOD, WARN, BAD, PLAIN = "green", "orange", "red", "text"
CALM: Thresholds = ((None, PLAIN),)
ANY_IS_BAD: Thresholds = ((None, GOOD), (1, BAD))
ANY_IS_WORTH_A_LOOK: Thresholds = ((None, GOOD), (1, WARN))
LOSS_AND_PROFIT: Thresholds = ((None, BAD), (0, GOOD))

Texts = Mapping[str, tuple[str, str]]
"""Values as they are shown: text and colour."""


@dataclass(frozen=True, slots=True)
class States:
    """States that a panel shows by text and colour.

    Lines over time hold numbers only, so a question answers with the number of a state, from 1 on.
    """

    shown: Texts

    def number(self, column: str) -> str:
        """SQL for the number of the state in the column; 0 for one that is not known here."""
        words_ = ", ".join(f"'{word}'" for word in self.shown)
        return f"indexOf([{words_}], toString({column}))"

    @property
    def texts(self) -> Texts:
        """What to show for each number."""
        return {str(number): shown for number, shown in enumerate(self.shown.values(), 1)}


_P = TypeVar(
    "_P",
    timeseries.Panel,
    stat.Panel,
    table.Panel,
    bargauge.Panel,
    barchart.Panel,
    statetimeline.Panel,
    heatmap.Panel,
    piechart.Panel,
)


def lines(
    title: str,
    description: str,
    unit: str,
    *questions: Question,
    width: int = 12,
    height: int = 8,
    thresholds: Thresholds = CALM,
    stacked: bool = False,
    bars: bool = False,
) -> Panel:
    """Values over time: lines, or bars (counts), one upon the other where asked."""
    panel = _said(timeseries.Panel(), title, description, unit, questions, width, height, thresholds)
    panel = panel.draw_style(words.GraphDrawStyle.BARS if bars else words.GraphDrawStyle.LINE)
    panel = panel.fill_opacity(60 if bars else 8).line_width(1).show_points(words.VisibilityMode.AUTO)
    panel = panel.span_nulls(not bars).legend(_legend())
    panel = panel.tooltip(
        common.VizTooltipOptions().mode(words.TooltipDisplayMode.MULTI).sort(words.SortOrder.DESCENDING)
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(words.StackingMode.NORMAL))
    if len(thresholds) > 1:
        panel = panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(words.GraphTresholdsStyleMode.DASHED))
    return panel


def figure(
    title: str,
    description: str,
    unit: str,
    *questions: Question,
    width: int = 4,
    height: int = 4,
    thresholds: Thresholds = CALM,
    texts: Texts | None = None,
    decimals: int | None = None,
    each: bool = False,
) -> Panel:
    """The newest value, large; with `each`, that of every row. `texts` shows values as (text, colour)."""
    panel = _said(stat.Panel(), title, description, unit, questions, width, height, thresholds, texts)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(each))
    panel = panel.color_mode(
        words.BigValueColorMode.BACKGROUND if texts or len(thresholds) > 1 else words.BigValueColorMode.VALUE
    )
    panel = panel.graph_mode(words.BigValueGraphMode.NONE).text_mode(words.BigValueTextMode.AUTO)
    return panel if decimals is None else panel.decimals(decimals)


def rows(
    title: str,
    description: str,
    unit: str,
    *questions: Question,
    width: int = 24,
    height: int = 8,
    units: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
    thresholds: Thresholds = CALM,
    coloured: Sequence[str] = (),
) -> Panel:
    """A table. `units` and `links` (to another board) are by column; `coloured` columns show the thresholds."""
    panel = _said(table.Panel(), title, description, unit, questions, width, height, thresholds)
    panel = panel.show_header(True).cell_height(words.TableCellHeight.SM)
    properties: dict[str, list[model.DynamicConfigValue]] = {}
    for column, its in (units or {}).items():
        properties.setdefault(column, []).append(model.DynamicConfigValue("unit", its))
    for column, url in (links or {}).items():
        link = {"title": "Open", "url": url, "targetBlank": False}
        properties.setdefault(column, []).append(model.DynamicConfigValue("links", [link]))
    for column in coloured:
        cell = {"type": "color-text"}
        properties.setdefault(column, []).append(model.DynamicConfigValue("custom.cellOptions", cell))
    for column, changes in properties.items():
        panel = panel.override_by_name(column, changes)
    return panel


def ranks(
    title: str,
    description: str,
    unit: str,
    *questions: Question,
    width: int = 8,
    height: int = 8,
    thresholds: Thresholds = CALM,
    least: float | None = None,
    most: float | None = None,
) -> Panel:
    """A bar for each row of the answer: its name and its value."""
    panel = _said(bargauge.Panel(), title, description, unit, questions, width, height, thresholds)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(True).limit(40))
    panel = panel.orientation(words.VizOrientation.HORIZONTAL).display_mode(words.BarGaugeDisplayMode.BASIC)
    panel = panel.show_unfilled(True)
    if least is not None:
        panel = panel.min(least)
    return panel if most is None else panel.max(most)


def columns(
    title: str,
    description: str,
    unit: str,
    *questions: Question,
    by: str,
    width: int = 12,
    height: int = 8,
    stacked: bool = False,
    thresholds: Thresholds = CALM,
) -> Panel:
    """Bars side by side over the categories of the field `by`."""
    panel = _said(barchart.Panel(), title, description, unit, questions, width, height, thresholds)
    panel = panel.x_field(by).show_value(words.VisibilityMode.AUTO).legend(_legend())
    panel = panel.tooltip(common.VizTooltipOptions().mode(words.TooltipDisplayMode.MULTI).sort(words.SortOrder.NONE))
    return panel.stacking(words.StackingMode.NORMAL) if stacked else panel


def states(
    title: str,
    description: str,
    unit: str,
    *questions: Question,
    shown: States,
    width: int = 24,
    height: int = 6,
) -> Panel:
    """Stretches of time in a state, one line of them for each series."""
    panel = _said(statetimeline.Panel(), title, description, unit, questions, width, height, CALM, shown.texts)
    return panel.merge_values(True).show_value(words.VisibilityMode.AUTO).row_height(0.8).fill_opacity(70)


def heat(
    title: str,
    description: str,
    unit: str,
    *questions: Question,
    width: int = 12,
    height: int = 8,
) -> Panel:
    """How often which value, over time: from a histogram of Prometheus."""
    panel = _said(heatmap.Panel(), title, description, unit, questions, width, height, CALM)
    colour = heatmap.HeatmapColorOptions().mode(heat_words.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    return panel.calculate(False).color(
        colour.exponent(0.5).fill("dark-orange").scale(heat_words.HeatmapColorScale.EXPONENTIAL).reverse(False)
    )


def shares(
    title: str,
    description: str,
    unit: str,
    *questions: Question,
    width: int = 8,
    height: int = 8,
) -> Panel:
    """Parts of a whole: one slice for each row of the answer."""
    panel = _said(piechart.Panel(), title, description, unit, questions, width, height, CALM)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(True))
    return panel.pie_type(pie_words.PieChartType.DONUT)


def board_with(uid: str, variable: str) -> str:
    """A link from a cell to a board, with its value as the board's variable; time and environment go along."""
    return f"/d/{uid}?${{__url_time_range}}&${{environment:queryparam}}&var-{variable}=${{__value.raw}}"


def alerts(title: str, description: str, *, width: int = 8, height: int = 8) -> Panel:
    """Alerts that fire or are about to, of all that carry our label."""
    panel = dashboard.Panel().type("alertlist").title(title).description(description).span(width).height(height)
    return panel.options(
        {
            "alertInstanceLabelFilter": '{team="trading"}',
            "groupMode": "default",
            "maxItems": 20,
            "sortOrder": 3,
            "stateFilter": {"error": True, "firing": True, "noData": True, "normal": False, "pending": True},
            "viewMode": "list",
        }
    )


def _said(
    panel: _P,
    title: str,
    description: str,
    unit: str,
    questions: Sequence[Question],
    width: int,
    height: int,
    thresholds: Thresholds,
    texts: Texts | None = None,
) -> _P:
    """What every kind of panel says of itself."""
    panel = panel.title(title).description(description).span(width).height(height).unit(unit).no_value("none")
    panel = panel.datasource(_source(questions)).targets(list(questions))
    steps = [model.Threshold(value, colour) for value, colour in thresholds]
    panel = panel.thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
    if texts:
        options = {
            value: model.ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(texts.items())
        }
        panel = panel.mappings([model.ValueMap(options)])
    return panel


def _source(questions: Sequence[Question]) -> model.DataSourceRef:
    """The data source of a panel's questions; they must share one."""
    source = questions[0].source
    assert all(question.source is source for question in questions), "questions of one panel need one data source"
    return source


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().display_mode(words.LegendDisplayMode.LIST)
    return legend.placement(words.LegendPlacement.BOTTOM).show_legend(True).calcs([])
