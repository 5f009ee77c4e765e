"""A panel of curves or bars before it is drawn: its results, its texts, and the room they need."""

from __future__ import annotations

import math
import textwrap
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convcli.errors import inert
from convcli.once import cached_property
from convcli.racing.curves import (
    Across,
    Crossover,
    crossovers,
    described,
    is_bars,
    place,
    results_across,
    seconds,
)
from convcli.racing.looks import DASHED, DOTTED, INK, KINDS, LETTERS, LINES, PAPER
from convcli.racing.results import Race, Result, by_reason
from convcli.words import METHODS

if TYPE_CHECKING:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

# Points (1/72 inch).
FONT = 8.0
LINE = 11.5  # from one line of text to the next
EDGE = 8.0  # around everything
TIMES = 44.0  # left of the axes, or right of bars: "10000 s" and its tick
LEADER = 16.0  # from the axes' edge to the names of the curves
_PLOT = 270.0  # the least height of the axes
_NUMBERS = 22.0  # below the axes: the numbers along x
_PLACES = 40.0  # the same, with the label of the axis
_KEY = 110.0  # a column of the legend
MARGIN = 0.04  # left and right of the points, as a part of the way between them


@dataclass(frozen=True)
class Panel:
    """The results and texts of one panel, and the room that they need."""

    race: Race
    across: Across
    width: float  # points

    @cached_property
    def results(self) -> list[Result]:
        """The results, with a time or without."""
        return results_across(self.race, self.across)

    @cached_property
    def timed(self) -> list[Result]:
        """The results that have a time, which are drawn."""
        return [result for result in self.results if result.seconds is not None]

    @cached_property
    def curves(self) -> dict[str, list[Result]]:
        """The results that have a time, by contender."""
        curves: dict[str, list[Result]] = defaultdict(list)
        for result in self.timed:
            curves[result.contender].append(result)
        return curves

    @cached_property
    def places(self) -> list[float]:
        """The positions along x, rising: those with a time if there are two, else all."""
        timed = {place(result, self.across) for result in self.timed}
        every = {place(result, self.across) for result in self.results}
        return sorted(timed if len(timed) > 1 else every)

    @cached_property
    def is_bars(self) -> bool:
        """Whether it has bars instead of curves."""
        return is_bars(self.race, self.across)

    @cached_property
    def predicted(self) -> dict[float, float]:
        """The shortest time that a plan predicts, by position: ``auto`` takes the cheapest plan."""
        least: dict[float, float] = {}
        for result in self.results:
            if result.predicted:
                at = place(result, self.across)
                least[at] = min(result.predicted, least.get(at, math.inf))
        return least

    @cached_property
    def times(self) -> tuple[float, float]:
        """Seconds at the ends of the time axis."""
        times = [seconds(result) for result in self.timed]
        plans = [result.predicted for result in self.results if result.predicted]
        times += plans if self.is_bars else self.predicted.values()
        return (min(times) / 1.6, max(times) * 1.6) if times else (1e-3, 1.0)

    @cached_property
    def crossovers(self) -> list[Crossover]:
        """Where FFT and direct contenders overtake each other."""
        return [] if self.is_bars else crossovers(self.results, self.across)

    @cached_property
    def inside(self) -> list[str]:
        """The contenders whose curves end before the last position: their names stand there."""
        if self.is_bars:
            return []
        return [
            name
            for name, curve in self.curves.items()
            if place(curve[-1], self.across) != self.places[-1]
        ]

    @cached_property
    def title(self) -> list[str]:
        """What all results of the panel share."""
        result = self.results[0]
        title = f"{_plain(self.race.kernel)} kernel"
        if self.across == "size" or self.is_bars:
            title += f", {result.kernel_name}"
        if self.across == "side" or self.is_bars:
            title += f"; image {result.width} x {result.height}"
        return self._wrapped(title, weight="bold")

    @cached_property
    def notes(self) -> list[str]:
        """The lines below: the crossovers' numbers, and what is not drawn."""
        texts = []
        for number, crossover in enumerate(self.crossovers, 1):
            texts.append(f"{number}: {described(crossover, self.across)}")
        missing = {
            _plain(result.contender): _plain(result.verdict)
            for result in self.results
            if result.contender not in self.curves
        }
        if missing:
            texts.append(f"Not drawn: {by_reason(missing)}")
        return [line for text in texts for line in self._wrapped(text)]

    def _wrapped(self, text: str, **letters: str) -> list[str]:
        letter = 1.05 * width_of(text, **letters) / len(text)
        return textwrap.wrap(text, max(10, int((self.width - 2 * EDGE) / letter)))

    @cached_property
    def key(self) -> list[Line2D | Patch]:
        """The legend of the lines and points that occur."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        def line(label: str, **style: Any) -> Line2D:
            return Line2D([], [], label=label, color=INK, **style)

        key: list[Line2D | Patch] = []
        if not self.is_bars:
            kinds = {result.kind for result in self.timed}
            key += [line(name, **LINES[kind]) for kind, name in KINDS.items() if kind in kinds]
            if any(result.form == "dense" for result in self.timed):
                key.append(line("dense", linestyle=DASHED, linewidth=1))
        if any(result.is_extrapolated for result in self.timed):
            name = "extrapolated"
            if self.is_bars:
                key.append(Patch(label=name, facecolor=PAPER, edgecolor=INK, linestyle="--"))
            else:
                hollow = {**LINES["method"], "markerfacecolor": PAPER, "linestyle": "none"}
                key.append(line(name, **hollow))
        if self.predicted:
            is_auto = {*METHODS} - {"auto"} <= {result.contender for result in self.results}
            name = "predicted"
            if not self.is_bars:
                name = "predicted for auto" if is_auto else "least predicted"
            key.append(line(name, linestyle=DOTTED, linewidth=1.6))
        return key

    @property
    def columns(self) -> int:
        """How many columns the legend has."""
        return max(1, int((self.width - EDGE) / _KEY))

    @property
    def left(self) -> float:
        """The room left of the axes."""
        return self._names + 2 * EDGE if self.is_bars else TIMES

    @property
    def right(self) -> float:
        """The room right of the axes."""
        return TIMES if self.is_bars else self._names + LEADER + EDGE

    @property
    def _names(self) -> float:
        widths = (
            width_of(name, **LETTERS[curve[0].kind])
            for name, curve in self.curves.items()
            if name not in self.inside
        )
        return max(widths, default=0.0) + 2

    @property
    def top(self) -> float:
        """The room above the axes, for the title."""
        return EDGE + LINE * (len(self.title) + 1.6)

    @property
    def plot(self) -> tuple[float, float]:
        """Width and height of the axes."""
        width, names = self.width - self.left - self.right, max(1, len(self.curves))
        return width, names * LINE * 1.2 if self.is_bars else max(_PLOT, names * LINE)

    @property
    def axis_labels(self) -> float:
        """The room below the axes for the numbers along x and the label."""
        return _NUMBERS if self.is_bars else _PLACES

    @property
    def bottom(self) -> float:
        """The room below the axes for those, the legend and the notes."""
        rows = math.ceil(len(self.key) / self.columns)
        return self.axis_labels + LINE * (1.3 * rows + len(self.notes)) + EDGE


def width_of(text: str, **letters: str) -> float:
    """Return the width of a line of text in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=FONT, **letters)  # type: ignore[arg-type]
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def _plain(name: str) -> str:
    """Return a name in ASCII: matplotlib warns of letters that its fonts lack."""
    return inert(name).encode("ascii", "backslashreplace").decode()[:60]
