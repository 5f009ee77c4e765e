"""The curves of a race, drawn: time against image size and against kernel side, or bars."""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from convcli.errors import ConvcliError, inert, shown
from convcli.racing.curves import (
    Across,
    Crossover,
    crossovers,
    described,
    duration,
    is_extrapolated,
    place,
    results_across,
    seconds,
)
from convcli.racing.results import Race, Result
from convcli.words import METHODS, listed
from convcli.writing import new_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

FORMATS = (".png", ".svg", ".pdf")
"""What `draw` writes, by suffix."""

# Text and lines, and what is behind them; a page gives them its own (`svg`).
_INK, _PAPER = "#1b1c1e", "#fdfdfd"

# Okabe and Ito's colours for all kinds of colour vision (jfly.uni-koeln.de/color, 2002) without
# black and yellow; orange and sky blue are darker, so that each has a contrast of 3 and more to
# white and to a page of #15171c (WCAG 2.2, 1.4.11).
_HUES = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#b97f00", "#2e93cf", "#777777")


@dataclass(frozen=True)
class _Look:
    """How a kind of contender is told from the others without colours."""

    marker: str
    size: float
    line_width: float
    weight: Literal["bold", "normal"]
    style: Literal["normal", "italic"]


_LOOKS = {
    "method": _Look("o", 5.0, 1.9, "bold", "normal"),
    "classical": _Look("^", 5.0, 1.0, "normal", "normal"),
    "peer": _Look("s", 4.0, 1.0, "normal", "italic"),
}
_DASHED, _DOTTED = (0, (5, 2)), (0, (1, 1.6))

# auto runs another method, over whose curve its own would lie: it is a pale band around that.
_BAND: dict[str, Any] = {"linewidth": 8.0, "alpha": 0.2, "solid_capstyle": "round"}

# Points (1/72 inch).
_FONT = 8.0
_LINE = 11.5  # from one line of text to the next
_EDGE = 8.0  # around everything
_TIMES = 44.0  # left of the axes: "10000 s" and its tick
_LEADER = 16.0  # from the axes' edge to the names of the curves
_PLOT = 270.0  # the least height of the axes
_NUMBERS = 22.0  # below the axes: the numbers along x
_PLACES = 40.0  # and what they are
_KEY = 110.0  # a column of the key
_MARGIN = 0.04  # left and right of the points, in parts of the way between them


def check(path: Path | None = None) -> None:
    """Raise `ConvcliError` if matplotlib is not there, or the suffix not one of `FORMATS`."""
    if path is not None and path.suffix.lower() not in FORMATS:
        raise ConvcliError(f"{shown(path)}: the name of a plot ends in {listed(FORMATS)}")
    if find_spec("matplotlib") is None:
        raise ConvcliError("drawing needs matplotlib: pip install 'convcli[plot]'")


def draw(race: Race, path: Path, *, overwrite: bool = False) -> None:
    """Draw both panels side by side into a file; one alone where they would show the same.

    Parameters
    ----------
    race : Race
        What was measured; one result at least.
    path : Path
        The file; its suffix, one of `FORMATS`, says the format.
    overwrite : bool
        Whether an older file may be replaced.

    Raises
    ------
    ConvcliError
        If the format is not known or matplotlib is missing.
    OSError
        If the file system refuses.
    """
    check(path)
    form = path.suffix.lower().removeprefix(".")
    # No date, so that the same race gives the same file.
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[form]
    with _defaults(), new_file(path, overwrite) as file:
        _figure(race, panels(race), 7.0).savefig(file, format=form, dpi=160, metadata=undated)


def figure(race: Race, across: Across, *, width: float = 7.0) -> Figure:
    """Return one panel: time against image size, or against kernel side.

    One curve a contender, on logarithmic axes; hollow points are extrapolated. Which results
    they are says `convcli.racing.curves.results_across`. Where each curve would have but one
    point, it is a bar chart.

    Parameters
    ----------
    race : Race
        What was measured; one result at least.
    across : {"size", "side"}
        What lies along x.
    width : float
        Width in inches; the height follows from what has to be written.
    """
    check()
    with _defaults():
        return _figure(race, [across], width)


def svg(race: Race, across: Across, *, width: float = 7.0) -> str:
    """Return a panel as an ``<svg>`` element to stand in a page, with text that is text.

    Its ink is the page's ``currentColor`` and its ground ``var(--paper)``. Its ids begin with
    `across` and `width`, so that several can stand in one page.
    """
    check()
    file = io.StringIO()
    with _defaults():
        drawn = _figure(race, [across], width)
        drawn.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    own = f"{across}-{width:g}-".replace(".", "_")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{own}", text)
    return text.replace(_INK, "currentColor").replace(_PAPER, "var(--paper)")


def panels(race: Race) -> list[Across]:
    """Return what is drawn of a race: both panels, or one where both would be the same bars."""
    is_one = all(_Panel(race, across, 0).is_bars for across in ("size", "side"))
    return ["side"] if is_one else ["size", "side"]


@contextmanager
def _defaults() -> Iterator[None]:
    """Draw by matplotlib's own defaults, whatever a matplotlibrc says, and leave them as found."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "font.size": _FONT,
                "svg.fonttype": "none",
                "svg.hashsalt": "convcli",  # else ids are different each time
                "text.color": _INK,
                "text.parse_math": False,  # a name may have dollar signs
                "axes.labelcolor": _INK,
                "axes.edgecolor": _INK,
                "axes.facecolor": _PAPER,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "figure.facecolor": _PAPER,
                "xtick.color": _INK,
                "ytick.color": _INK,
                "grid.color": _INK,
                "grid.alpha": 0.14,
                "grid.linewidth": 0.6,
            }
        )
        yield


@dataclass(frozen=True)
class _Panel:
    """What one panel shows and says, and the room that it needs, before anything is drawn."""

    race: Race
    across: Across
    width: float  # points

    @cached_property
    def all(self) -> list[Result]:
        return results_across(self.race, self.across)

    @cached_property
    def curves(self) -> dict[str, list[Result]]:
        """The results that have a time, by contender."""
        curves: dict[str, list[Result]] = defaultdict(list)
        for result in self.all:
            if result.seconds is not None:
                curves[result.contender].append(result)
        return curves

    @cached_property
    def places(self) -> list[float]:
        return sorted({place(result, self.across) for result in self.all})

    @cached_property
    def is_bars(self) -> bool:
        return len(self.places) == 1

    @cached_property
    def predicted(self) -> dict[float, float]:
        """The least seconds that plans expected, by place: ``auto`` takes the cheapest."""
        least: dict[float, float] = {}
        for result in self.all:
            if result.predicted:
                at = place(result, self.across)
                least[at] = min(result.predicted, least.get(at, math.inf))
        return least

    @cached_property
    def times(self) -> tuple[float, float]:
        """Seconds from the bottom to the top of the axis."""
        times = [seconds(result) for curve in self.curves.values() for result in curve]
        plans = [result.predicted for result in self.all if result.predicted]
        times += plans if self.is_bars else self.predicted.values()
        return (min(times) / 1.6, max(times) * 1.6) if times else (1e-3, 1.0)

    @cached_property
    def crossovers(self) -> list[Crossover]:
        return [] if self.is_bars else crossovers(self.all, self.across)

    @cached_property
    def short(self) -> dict[str, str]:
        """Letters for the curves that end before the last place, where no name has room."""
        if self.is_bars:
            return {}
        ending = [
            name
            for name, curve in self.curves.items()
            if place(curve[-1], self.across) != self.places[-1]
        ]
        return {name: chr(ord("a") + number % 26) for number, name in enumerate(ending)}

    @cached_property
    def title(self) -> list[str]:
        """What is the same for all points."""
        result = self.all[0]
        title = f"{_plain(self.race.kernel)} kernel"
        if self.across == "size" or self.is_bars:
            title += f", {result.side} x {result.side}"
        if self.across == "side" or self.is_bars:
            title += f"; picture of {result.width} x {result.height}"
        return self._wrapped(title, "bold")

    @cached_property
    def notes(self) -> list[str]:
        """What stands below: letters, the crossovers' numbers, and who is not drawn."""
        texts = [
            f"{letter}: {name}, {duration(seconds(self.curves[name][-1]))}"
            f" at {place(self.curves[name][-1], self.across):.3g}"
            for name, letter in self.short.items()
        ]
        for number, crossover in enumerate(self.crossovers, 1):
            texts.append(f"{number}: {described(crossover, self.across)}")
        missing = {
            result.contender: f"{_plain(result.contender)} ({_plain(result.verdict)})"
            for result in self.all
            if result.contender not in self.curves
        }
        if missing:
            texts.append(f"Not drawn: {', '.join(missing.values())}")
        return [line for text in texts for line in self._wrapped(text, "normal")]

    def _wrapped(self, text: str, weight: str) -> list[str]:
        letter = 1.05 * _width(text, weight=weight) / len(text)
        return textwrap.wrap(text, max(10, int((self.width - 2 * _EDGE) / letter)))

    @cached_property
    def key(self) -> list[Line2D | Patch]:
        """What lines and points mean, as far as they occur."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        shown_results = [result for curve in self.curves.values() for result in curve]
        key: list[Line2D | Patch] = []
        if not self.is_bars:
            for kind, look in _LOOKS.items():
                if any(result.kind == kind for result in shown_results):
                    key.append(Line2D([], [], label=kind, color=_INK, **_line(look), **_dots(look)))
            if any(result.form == "dense" for result in shown_results):
                key.append(Line2D([], [], label="dense", color=_INK, linestyle=_DASHED, lw=1))
        if any(map(is_extrapolated, shown_results)):
            name = "extrapolated"
            if self.is_bars:
                key.append(Patch(label=name, facecolor=_PAPER, edgecolor=_INK, linestyle="--"))
            else:
                hollow = {**_dots(_LOOKS["method"]), "markerfacecolor": _PAPER}
                key.append(Line2D([], [], label=name, color=_INK, linestyle="none", **hollow))
        if self.predicted:
            is_auto = {*METHODS} - {"auto"} <= {result.contender for result in self.all}
            name = "predicted"
            if not self.is_bars:
                name = "predicted for auto" if is_auto else "least predicted"
            key.append(Line2D([], [], label=name, color=_INK, linestyle=_DOTTED, lw=1.6))
        return key

    @property
    def columns(self) -> int:
        return max(1, int((self.width - _EDGE) / _KEY))

    @property
    def left(self) -> float:
        return self._names + 2 * _EDGE if self.is_bars else _TIMES

    @property
    def right(self) -> float:
        return 44.0 if self.is_bars else self._names + _LEADER + _EDGE

    @property
    def _names(self) -> float:
        looks = {
            name: _LOOKS[curve[0].kind]
            for name, curve in self.curves.items()
            if name not in self.short
        }
        widths = (_width(name, weight=at.weight, style=at.style) for name, at in looks.items())
        return max(widths, default=0.0) + 2

    @property
    def above(self) -> float:
        return _EDGE + _LINE * (len(self.title) + 1.6)

    @property
    def plot(self) -> tuple[float, float]:
        """Width and height of the axes."""
        width, names = self.width - self.left - self.right, max(1, len(self.curves))
        return width, names * _LINE * 1.2 if self.is_bars else max(_PLOT, names * _LINE)

    @property
    def under(self) -> float:
        return _NUMBERS if self.is_bars else _PLACES

    @property
    def below(self) -> float:
        rows = math.ceil(len(self.key) / self.columns)
        return self.under + _LINE * (1.3 * rows + len(self.notes)) + _EDGE


def _width(text: str, **style: str) -> float:
    """Return the width of a line of text in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=_FONT, **style)  # type: ignore[arg-type]
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def _line(look: _Look) -> dict[str, Any]:
    return {"linewidth": look.line_width}


def _dots(look: _Look) -> dict[str, Any]:
    return {"marker": look.marker, "markersize": look.size}


def _hues(race: Race) -> dict[str, str]:
    """Give each contender a colour, by its number among those of its kind; auto has the ink."""
    hues = {"auto": _INK}
    numbers: dict[str, dict[str, int]] = defaultdict(dict)
    for result in race.results:
        if result.contender != "auto":
            known = numbers[result.kind]
            number = known.setdefault(result.contender.removesuffix(" dense"), len(known))
            hues[result.contender] = _HUES[number % len(_HUES)]
    return hues


def _plain(name: str) -> str:
    """Return what every font has letters for: matplotlib warns of those that it lacks."""
    return inert(name).encode("ascii", "backslashreplace").decode()[:60]


def _figure(race: Race, acrosses: Sequence[Across], inches: float) -> Figure:
    """Lay panels side by side, each as wide as this."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    texts = [_Panel(race, across, inches * 72) for across in acrosses]
    hues = _hues(race)
    width = inches * 72 * len(acrosses)
    above, below = max(text.above for text in texts), max(text.below for text in texts)
    height = above + max(text.plot[1] for text in texts) + below
    drawn = Figure(figsize=(width / 72, height / 72))
    FigureCanvasAgg(drawn)  # no window, whatever the environment asks for
    for number, text in enumerate(texts):
        left = number * inches * 72 + text.left
        across, up = text.plot
        bottom = height - above - up
        axes = drawn.add_axes((left / width, bottom / height, across / width, up / height))
        if text.is_bars:
            _draw_bars(axes, text, hues)
        else:
            _draw_curves(axes, text, hues)
        _write(axes, text)
    return drawn


def _write(axes: Axes, text: _Panel) -> None:
    """Write the title above, and the key and the notes below."""
    left = _EDGE - text.left

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

    up = text.above - _EDGE
    for words in text.title:
        line(words, 1, up, weight="bold")
        up -= _LINE
    line("time of the best round", 1, up)
    up = -text.under
    if text.key:
        axes.legend(
            handles=text.key,
            loc="upper left",
            bbox_to_anchor=(left / text.plot[0], up / text.plot[1]),
            ncols=text.columns,
            frameon=False,
            borderaxespad=0,
            borderpad=0,
            handlelength=2.6,
            columnspacing=1.2,
            labelspacing=0.4,
        )
        up -= _LINE * 1.3 * math.ceil(len(text.key) / text.columns)
    for words in text.notes:
        line(words, 0, up)
        up -= _LINE


def _draw_curves(axes: Axes, text: _Panel, hues: dict[str, str]) -> None:
    for name, results in text.curves.items():
        look, hue = _LOOKS[results[0].kind], hues[name]
        places = [place(result, text.across) for result in results]
        times = [seconds(result) for result in results]
        if name == "auto":
            axes.plot(places, times, color=hue, zorder=2, **_BAND)
            continue
        dashes = _DASHED if results[0].form == "dense" else "-"
        axes.plot(places, times, color=hue, linestyle=dashes, zorder=3, **_line(look))
        for at, time, result in zip(places, times, results, strict=True):
            fill = _PAPER if is_extrapolated(result) else hue
            axes.plot(at, time, color=hue, markerfacecolor=fill, zorder=4, **_dots(look))
    if text.predicted:
        places, times = list(text.predicted), list(text.predicted.values())
        axes.plot(places, times, color=_INK, linestyle=_DOTTED, linewidth=1.6, zorder=5)
    _scale_times(axes, "y", text)
    _scale_places(axes, text)
    for number, crossover in enumerate(text.crossovers, 1):
        spot = crossover.place, crossover.seconds
        axes.plot(*spot, marker="o", markersize=11, color=_INK, fillstyle="none", zorder=6)
        _mark(axes, str(number), spot, -8)
    _name_curves(axes, text, hues)


def _mark(axes: Axes, sign: str, spot: tuple[float, float], lower: float) -> None:
    """Write the sign of a note beside a point."""
    axes.annotate(
        sign,
        spot,
        (12, lower),
        textcoords="offset points",
        ha="center",
        va="center",
        weight="bold",
        bbox={"facecolor": _PAPER, "edgecolor": "none", "pad": 0.3},
        zorder=7,
    )


def _scale_times(axes: Axes, which: Literal["x", "y"], text: _Panel) -> None:
    """Give an axis powers of ten of a second, and steps between where these are few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis = axes.yaxis if which == "y" else axes.xaxis
    low, high = text.times
    if which == "y":
        axes.set_yscale("log")
        axes.set_ylim(low, high)
    else:
        axes.set_xscale("log")
        axes.set_xlim(low, high)
    few, fewer = high / low < 60, high / low < 6
    steps = (1, 1.5, 2, 3, 4, 5, 6, 8) if fewer else (1, 2, 5) if few else (1,)
    numbers = text.plot[1] / _LINE if which == "y" else text.plot[0] / _TIMES
    axis.set_major_locator(LogLocator(subs=steps, numticks=max(2, int(numbers))))
    axis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    axis.set_minor_formatter(NullFormatter())
    axis.grid(which="major")


def _scale_places(axes: Axes, text: _Panel) -> None:
    """Mark the places that were measured, as far as their numbers have room."""
    from matplotlib.ticker import NullLocator

    first, last = text.places[0], text.places[-1]
    margin = (last / first) ** _MARGIN
    axes.set_xscale("log")
    axes.set_xlim(first / margin, last * margin)
    point = math.log(last * margin**2 / first) / text.plot[0]
    kept: list[float] = []
    for at in text.places:
        room = _width(f"{at:.3g}") + 4
        if not kept or math.log(at / kept[-1]) >= room * point:
            kept.append(at)
    axes.set_xticks(kept, [f"{at:.3g}" for at in kept])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("image size (megapixels)" if text.across == "size" else "kernel side (pixels)")
    axes.xaxis.grid(which="major")


def _name_curves(axes: Axes, text: _Panel, hues: dict[str, str]) -> None:
    """Name the curves at their ends, moved up or down where two would overlap."""
    ends: dict[float, list[Result]] = defaultdict(list)
    for curve in text.curves.values():
        ends[place(curve[-1], text.across)].append(curve[-1])
    low, high = (math.log(bound) for bound in text.times)
    height = text.plot[1]
    for at, group in ends.items():
        group.sort(key=seconds)
        ups = [(math.log(seconds(end)) - low) / (high - low) * height for end in group]
        moves = [to - up for up, to in zip(ups, spread_out(ups, _LINE, height), strict=True)]
        for end, move in zip(group, moves, strict=True):
            if end.contender in text.short:
                _mark(axes, text.short[end.contender], (at, seconds(end)), move)
            else:
                _name(axes, end, text, move, hues[end.contender])


def _name(axes: Axes, end: Result, text: _Panel, up: float, hue: str) -> None:
    """Write a curve's name right of the axes, with a line to its end."""
    look = _LOOKS[end.kind]
    axes.annotate(
        end.contender,
        (text.places[-1], seconds(end)),
        (text.plot[0] * _MARGIN / (1 + 2 * _MARGIN) + _LEADER, up),
        textcoords="offset points",
        va="center",
        weight=look.weight,
        style=look.style,
        annotation_clip=False,
        bbox={"facecolor": "none", "edgecolor": "none", "pad": 1},
        arrowprops={
            "arrowstyle": "-",
            "color": hue,
            "alpha": _BAND["alpha"] * 2 if end.contender == "auto" else 1,
            "linewidth": look.line_width * 0.7,
            "linestyle": _DASHED if end.form == "dense" else "-",
            "shrinkA": 0,
            "shrinkB": 0,
            "relpos": (0, 0.5),
        },
        zorder=2,
    )


def spread_out(heights: list[float], distance: float, room: float) -> list[float]:
    """Move rising heights as little as possible (least squares) until each has its distance.

    Less `distance` times their number they must not fall, which is isotonic regression: pools
    of neighbours that would fall take their mean (Ayer et al., 1955). All stay within `room`,
    if there is so much.
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


def _draw_bars(axes: Axes, text: _Panel, hues: dict[str, str]) -> None:
    """Draw one bar a contender, the fastest on top."""
    results = [result for curve in text.curves.values() for result in curve]
    results.sort(key=seconds, reverse=True)
    for row, result in enumerate(results):
        time, hue = seconds(result), hues[result.contender]
        is_hollow = is_extrapolated(result)
        axes.barh(
            row,
            time,
            height=0.7,
            facecolor=_PAPER if is_hollow else hue,
            edgecolor=hue,
            linestyle="--" if is_hollow else "-",
            zorder=3,
        )
        end = time
        if result.predicted:
            expected = result.predicted
            rows = row - 0.5, row + 0.5
            axes.plot(
                (expected, expected), rows, color=_INK, linestyle=_DOTTED, linewidth=1.6, zorder=5
            )
            end = max(time, expected)
        axes.annotate(
            duration(time),
            (end, row),
            (4, 0),
            textcoords="offset points",
            va="center",
            annotation_clip=False,
        )
    axes.set_yticks(range(len(results)), [result.contender for result in results])
    for label, result in zip(axes.get_yticklabels(), results, strict=True):
        look = _LOOKS[result.kind]
        label.set(weight=look.weight, style=look.style)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, max(len(results), 1) - 0.4)
    _scale_times(axes, "x", text)
