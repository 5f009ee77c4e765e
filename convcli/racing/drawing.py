"""Plots of a race: curves of time against image size and against kernel side, or bars."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, BinaryIO

from convcli import plotting
from convcli.racing.curves import Across, is_bars, place, seconds
from convcli.racing.looks import DASHED, DOTTED, INK, LETTERS, LINES, PAPER, hues_of
from convcli.racing.panel import EDGE, FONT, LEADER, LINE, MARGIN, TIMES, Panel, width_of
from convcli.racing.results import Race, Result
from convcli.words import duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Points between the end of a curve and its name, and down to the number of a crossover.
_BESIDE = 8.0

_SETTINGS = {
    "font.size": FONT,
    "svg.fonttype": "none",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": PAPER,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.14,
    "grid.linewidth": 0.6,
}


def draw(race: Race, file: BinaryIO, suffix: str) -> None:
    """Draw both panels side by side, or a single one if both would show the same.

    Parameters
    ----------
    race : Race
        With at least one result.
    file : binary file
        The file to write.
    suffix : str
        The format, one of `convcli.plotting.FORMATS`.
    """
    with plotting.settings(_SETTINGS):
        plotting.save(_figure(race, panels(race), 7.0), file, suffix, dpi=160)


def svg(race: Race, across: Across, width: float) -> str:
    """Return a panel as an ``<svg>`` element for a page, whose text can be selected.

    It is drawn in the page's ``currentColor`` on its ``var(--paper)``. Its ids begin with `across`
    and `width`, so that a page can hold several panels.

    Parameters
    ----------
    race : Race
        With at least one result.
    across : {"size", "side"}
        The x axis.
    width : float
        In inches; the height follows from the texts.
    """
    file = io.BytesIO()
    with plotting.settings(_SETTINGS | {"savefig.transparent": True}):
        plotting.save(_figure(race, [across], width), file, ".svg")
    text = file.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    own = f"{across}-{width:g}-".replace(".", "_")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{own}", text)
    return text.replace(INK, "currentColor").replace(PAPER, "var(--paper)")


def panels(race: Race) -> list[Across]:
    """Return the panels of a race: both, or one if both would be the same bars."""
    is_one = all(is_bars(race, across) for across in ("size", "side"))
    return ["side"] if is_one else ["size", "side"]


def _figure(race: Race, acrosses: Sequence[Across], inches: float) -> Figure:
    """Draw panels of this width side by side.

    Each has one curve per contender, on logarithmic axes, with hollow points for extrapolated
    times; `convcli.racing.curves.results_across` selects the results. If each curve would have a
    single point, it is a bar chart.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    row = [Panel(race, across, inches * 72) for across in acrosses]
    hues = hues_of(race)
    width = inches * 72 * len(acrosses)
    top, bottom = max(panel.top for panel in row), max(panel.bottom for panel in row)
    height = top + max(panel.plot[1] for panel in row) + bottom
    drawn = Figure(figsize=(width / 72, height / 72))
    FigureCanvasAgg(drawn)  # no window, whatever backend the environment asks for
    for number, panel in enumerate(row):
        left = number * inches * 72 + panel.left
        wide, high = panel.plot
        lower = height - top - high
        axes = drawn.add_axes((left / width, lower / height, wide / width, high / height))
        if panel.is_bars:
            _draw_bars(axes, panel, hues)
        else:
            _draw_curves(axes, panel, hues)
        _write(axes, panel)
    return drawn


def _write(axes: Axes, panel: Panel) -> None:
    """Write the title above, and the legend and the notes below."""
    left = EDGE - panel.left

    def line(words: str, corner: int, up: float, **style: Any) -> None:
        axes.annotate(
            words,
            (0, corner),
            (left, up),
            xycoords="axes fraction",
            textcoords="offset points",
            va="top",
            annotation_clip=False,
            **style,
        )

    up = panel.top - EDGE
    for words in panel.title:
        line(words, 1, up, weight="bold")
        up -= LINE
    line("time of the best round", 1, up)
    up = -panel.axis_labels
    if panel.key:
        axes.legend(
            handles=panel.key,
            loc="upper left",
            bbox_to_anchor=(left / panel.plot[0], up / panel.plot[1]),
            ncols=panel.columns,
            frameon=False,
            borderaxespad=0,
            borderpad=0,
            handlelength=2.6,
            columnspacing=1.2,
            labelspacing=0.4,
        )
        up -= LINE * 1.3 * math.ceil(len(panel.key) / panel.columns)
    for words in panel.notes:
        line(words, 0, up)
        up -= LINE


def _draw_curves(axes: Axes, panel: Panel, hues: dict[str, str]) -> None:
    for name, results in panel.curves.items():
        style, hue = LINES[results[0].kind], hues[name]
        places = [place(result, panel.across) for result in results]
        times = [seconds(result) for result in results]
        dashes = DASHED if results[0].form == "dense" else "-"
        axes.plot(places, times, **{**style, "marker": ""}, color=hue, linestyle=dashes, zorder=3)
        for at, time, result in zip(places, times, results, strict=True):
            fill = PAPER if result.is_extrapolated else hue
            axes.plot(at, time, **style, color=hue, markerfacecolor=fill, zorder=4)
    if panel.predicted:
        places, times = list(panel.predicted), list(panel.predicted.values())
        axes.plot(places, times, color=INK, linestyle=DOTTED, linewidth=1.6, zorder=5)
    _scale_times(axes, panel)
    _scale_places(axes, panel)
    for crossover in panel.crossovers:
        spot = crossover.place, crossover.seconds
        axes.plot(*spot, marker="o", markersize=11, color=INK, fillstyle="none", zorder=6)
    _name_curves(axes, panel, hues)


def _mark(axes: Axes, sign: str, spot: tuple[float, float], lower: float) -> None:
    """Write the number of a note beside a point."""
    axes.annotate(
        sign,
        spot,
        (12, lower),
        textcoords="offset points",
        ha="center",
        va="center",
        weight="bold",
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.3},
        zorder=7,
    )


def _scale_times(axes: Axes, panel: Panel) -> None:
    """Mark powers of ten of a second on the time axis, and steps between if these are few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = panel.times
    axis: Axis
    if panel.is_bars:
        axes.set(xscale="log", xlim=(low, high))
        axis, numbers = axes.xaxis, panel.plot[0] / TIMES
    else:
        axes.set(yscale="log", ylim=(low, high))
        axis, numbers = axes.yaxis, panel.plot[1] / LINE
    steps = (1, 1.5, 2, 3, 4, 5, 6, 8) if high / low < 6 else (1, 2, 5) if high / low < 60 else (1,)
    axis.set_major_locator(LogLocator(subs=steps, numticks=max(2, int(numbers))))
    axis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    axis.set_minor_formatter(NullFormatter())
    axis.grid(which="major")


def _scale_places(axes: Axes, panel: Panel) -> None:
    """Mark the sizes or sides that were measured, as far as their numbers have room."""
    from matplotlib.ticker import NullLocator

    first, last = panel.places[0], panel.places[-1]
    margin = (last / first) ** MARGIN
    axes.set_xscale("log")
    axes.set_xlim(first / margin, last * margin)
    point = math.log(last * margin**2 / first) / panel.plot[0]
    kept: list[float] = []
    for at in panel.places:
        room = width_of(f"{at:.3g}") + 4
        if not kept or math.log(at / kept[-1]) >= room * point:
            kept.append(at)
    axes.set_xticks(kept, [f"{at:.3g}" for at in kept])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("image size (megapixels)" if panel.across == "size" else "kernel side (pixels)")
    axes.xaxis.grid(which="major")


def _name_curves(axes: Axes, panel: Panel, hues: dict[str, str]) -> None:
    """Name curves at their ends and number crossovers, moved up or down if two would overlap."""
    low, high = (math.log(bound) for bound in panel.times)

    def up(time: float) -> float:
        return (math.log(time) - low) / (high - low) * panel.plot[1]

    inside: list[tuple[float, float, Callable[[float], None]]] = []
    outside = list(inside)
    write: Callable[[float], None]
    for curve in panel.curves.values():
        end, hue = curve[-1], hues[curve[-1].contender]
        is_inside = end.contender in panel.inside
        write = partial(_name_inside if is_inside else _name_outside, axes, end, panel, hue)
        at = up(seconds(end))
        (inside if is_inside else outside).append((at, at, write))
    for number, crossover in enumerate(panel.crossovers, 1):
        at = up(crossover.seconds)
        write = partial(_mark, axes, str(number), (crossover.place, crossover.seconds))
        inside.append((at - _BESIDE, at, write))
    for group in (inside, outside):
        group.sort(key=itemgetter(0))
        moved = spread_out([wanted for wanted, _, _ in group], LINE, panel.plot[1])
        for (_, at, write), to in zip(group, moved, strict=True):
            write(to - at)


def _name_inside(axes: Axes, end: Result, panel: Panel, hue: str, up: float) -> None:
    """Write a curve's name beside its end, which is before the last place."""
    first, last = map(math.log, axes.get_xlim())
    room, width = panel.plot[0], width_of(end.contender, **LETTERS[end.kind])
    at = (math.log(place(end, panel.across)) - first) / (last - first) * room
    left = at + _BESIDE
    if left + width > room:
        left = at - _BESIDE - width
    if left < 0:  # it has no room on either side
        left = max(0.0, room - width)
    axes.annotate(
        end.contender,
        (place(end, panel.across), seconds(end)),
        (left - at, up),
        textcoords="offset points",
        va="center",
        **LETTERS[end.kind],
        annotation_clip=False,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.3, "alpha": 0.8},
        arrowprops=_leader(end, hue) | {"relpos": (0 if left > at else 1, 0.5)},
        zorder=7,
    )


def _name_outside(axes: Axes, end: Result, panel: Panel, hue: str, up: float) -> None:
    """Write a curve's name right of the axes, with a line to its end."""
    axes.annotate(
        end.contender,
        (place(end, panel.across), seconds(end)),
        (panel.plot[0] * MARGIN / (1 + 2 * MARGIN) + LEADER, up),
        textcoords="offset points",
        va="center",
        **LETTERS[end.kind],
        annotation_clip=False,
        bbox={"facecolor": "none", "edgecolor": "none", "pad": 1},
        arrowprops=_leader(end, hue) | {"relpos": (0, 0.5)},
        zorder=2,
    )


def _leader(end: Result, hue: str) -> dict[str, Any]:
    return {
        "arrowstyle": "-",
        "color": hue,
        "linewidth": LINES[end.kind]["linewidth"] * 0.7,
        "linestyle": DASHED if end.form == "dense" else "-",
        "shrinkA": 0,
        "shrinkB": 0,
    }


def spread_out(heights: list[float], distance: float, room: float) -> list[float]:
    """Move rising heights as little as possible (least squares) until each has its distance.

    With ``number * distance`` taken off, the heights must not fall. That is isotonic regression:
    neighbours that would fall are pooled and take their mean (Ayer et al., 1955). All stay within
    `room`, if it is large enough.
    """
    pools: list[list[float]] = []
    for number, height in enumerate(heights):
        pools.append([height - number * distance])
        while len(pools) > 1 and _mean(pools[-2]) >= _mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    top = max(0.0, room - (len(heights) - 1) * distance)
    moved = [min(max(_mean(pool), 0.0), top) for pool in pools for _ in pool]
    return [base + number * distance for number, base in enumerate(moved)]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _draw_bars(axes: Axes, panel: Panel, hues: dict[str, str]) -> None:
    """Draw one bar per contender, the fastest on top."""
    results = sorted(panel.timed, key=seconds, reverse=True)
    for row, result in enumerate(results):
        time, hue, is_hollow = seconds(result), hues[result.contender], result.is_extrapolated
        axes.barh(
            row,
            time,
            height=0.7,
            facecolor=PAPER if is_hollow else hue,
            edgecolor=hue,
            linestyle="--" if is_hollow else "-",
            zorder=3,
        )
        if result.predicted:
            places, rows = (result.predicted,) * 2, (row - 0.5, row + 0.5)
            axes.plot(places, rows, color=INK, linestyle=DOTTED, linewidth=1.6, zorder=5)
        axes.annotate(
            duration(time),
            (max(time, result.predicted or 0), row),
            (4, 0),
            textcoords="offset points",
            va="center",
            annotation_clip=False,
        )
    axes.set_yticks(range(len(results)), [result.contender for result in results])
    for label, result in zip(axes.get_yticklabels(), results, strict=True):
        label.set(**LETTERS[result.kind])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, max(len(results), 1) - 0.4)
    _scale_times(axes, panel)
