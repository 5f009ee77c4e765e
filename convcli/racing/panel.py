"""What a panel of curves or bars shows and says, and the room that it needs."""

from __future__ import annotations

import math
import textwrap
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from convcli.errors import inert
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
from convcli.racing.looks import DASHED, DOTTED, INK, LOOKS, PAPER, dot_style
from convcli.racing.results import Race, Result
from convcli.words import METHODS, duration

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
_PLACES = 40.0  # and what they are
_KEY = 110.0  # a column of the key
MARGIN = 0.04  # left and right of the points, in parts of the way between them


@dataclass(frozen=True)
class Panel:
    """What one panel shows and says, and the room that it needs, before anything is drawn."""

    race: Race
    across: Across
    width: float  # points

    @cached_property
    def results(self) -> list[Result]:
        """The results, with a time or without."""
        return results_across(self.race, self.across)

    @cached_property
    def curves(self) -> dict[str, list[Result]]:
        """The results that have a time, by contender."""
        curves: dict[str, list[Result]] = defaultdict(list)
        for result in self.results:
            if result.seconds is not None:
                curves[result.contender].append(result)
        return curves

    @cached_property
    def places(self) -> list[float]:
        """What was measured along x, rising."""
        return sorted({place(result, self.across) for result in self.results})

    @cached_property
    def is_bars(self) -> bool:
        """Whether it has bars for curves."""
        return is_bars(self.race, self.across)

    @cached_property
    def predicted(self) -> dict[float, float]:
        """The least seconds that plans expected, by place: ``auto`` takes the cheapest."""
        least: dict[float, float] = {}
        for result in self.results:
            if result.predicted:
                at = place(result, self.across)
                least[at] = min(result.predicted, least.get(at, math.inf))
        return least

    @cached_property
    def times(self) -> tuple[float, float]:
        """Seconds from the bottom to the top of the axis."""
        times = [seconds(result) for curve in self.curves.values() for result in curve]
        plans = [result.predicted for result in self.results if result.predicted]
        times += plans if self.is_bars else self.predicted.values()
        return (min(times) / 1.6, max(times) * 1.6) if times else (1e-3, 1.0)

    @cached_property
    def crossovers(self) -> list[Crossover]:
        """Where FFT and direct methods overtake each other."""
        return [] if self.is_bars else crossovers(self.results, self.across)

    @cached_property
    def letters(self) -> dict[str, str]:
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
        result = self.results[0]
        title = f"{_plain(self.race.kernel)} kernel"
        if self.across == "size" or self.is_bars:
            title += f", {result.kernel_name}"
        if self.across == "side" or self.is_bars:
            title += f"; picture of {result.width} x {result.height}"
        return self._wrapped(title, "bold")

    @cached_property
    def notes(self) -> list[str]:
        """What stands below: letters, the crossovers' numbers, and who is not drawn."""
        texts = [
            f"{letter}: {name}, {duration(seconds(self.curves[name][-1]))}"
            f" at {place(self.curves[name][-1], self.across):.3g}"
            for name, letter in self.letters.items()
        ]
        for number, crossover in enumerate(self.crossovers, 1):
            texts.append(f"{number}: {described(crossover, self.across)}")
        missing = {
            result.contender: f"{_plain(result.contender)} ({_plain(result.verdict)})"
            for result in self.results
            if result.contender not in self.curves
        }
        if missing:
            texts.append(f"Not drawn: {', '.join(missing.values())}")
        return [line for text in texts for line in self._wrapped(text, "normal")]

    def _wrapped(self, text: str, weight: str) -> list[str]:
        letter = 1.05 * width_of(text, weight=weight) / len(text)
        return textwrap.wrap(text, max(10, int((self.width - 2 * EDGE) / letter)))

    @cached_property
    def key(self) -> list[Line2D | Patch]:
        """What lines and points mean, as far as they occur."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        shown_results = [result for curve in self.curves.values() for result in curve]
        key: list[Line2D | Patch] = []
        if not self.is_bars:
            for kind, look in LOOKS.items():
                if any(result.kind == kind for result in shown_results):
                    style = {"lw": look.line_width, **dot_style(look)}
                    key.append(Line2D([], [], label=kind, color=INK, **style))
            if any(result.form == "dense" for result in shown_results):
                key.append(Line2D([], [], label="dense", color=INK, linestyle=DASHED, lw=1))
        if any(result.is_extrapolated for result in shown_results):
            name = "extrapolated"
            if self.is_bars:
                key.append(Patch(label=name, facecolor=PAPER, edgecolor=INK, linestyle="--"))
            else:
                hollow = {**dot_style(LOOKS["method"]), "markerfacecolor": PAPER}
                key.append(Line2D([], [], label=name, color=INK, linestyle="none", **hollow))
        if self.predicted:
            is_auto = {*METHODS} - {"auto"} <= {result.contender for result in self.results}
            name = "predicted"
            if not self.is_bars:
                name = "predicted for auto" if is_auto else "least predicted"
            key.append(Line2D([], [], label=name, color=INK, linestyle=DOTTED, lw=1.6))
        return key

    @property
    def columns(self) -> int:
        """Of the key."""
        return max(1, int((self.width - EDGE) / _KEY))

    @property
    def left(self) -> float:
        """What is left of the axes."""
        return self._names + 2 * EDGE if self.is_bars else TIMES

    @property
    def right(self) -> float:
        """What is right of the axes."""
        return TIMES if self.is_bars else self._names + LEADER + EDGE

    @property
    def _names(self) -> float:
        looks = {
            name: LOOKS[curve[0].kind]
            for name, curve in self.curves.items()
            if name not in self.letters
        }
        widths = (width_of(name, weight=at.weight, style=at.style) for name, at in looks.items())
        return max(widths, default=0.0) + 2

    @property
    def top(self) -> float:
        """What is above the axes: the title."""
        return EDGE + LINE * (len(self.title) + 1.6)

    @property
    def plot(self) -> tuple[float, float]:
        """Width and height of the axes."""
        width, names = self.width - self.left - self.right, max(1, len(self.curves))
        return width, names * LINE * 1.2 if self.is_bars else max(_PLOT, names * LINE)

    @property
    def axis_labels(self) -> float:
        """The room below the axes of the numbers along x, and of what they are."""
        return _NUMBERS if self.is_bars else _PLACES

    @property
    def bottom(self) -> float:
        """What is below the axes: those, the key and the notes."""
        rows = math.ceil(len(self.key) / self.columns)
        return self.axis_labels + LINE * (1.3 * rows + len(self.notes)) + EDGE


def width_of(text: str, **style: str) -> float:
    """Return the width of a line of text in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=FONT, **style)  # type: ignore[arg-type]
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def _plain(name: str) -> str:
    """Return what every font has letters for: matplotlib warns of those that it lacks."""
    return inert(name).encode("ascii", "backslashreplace").decode()[:60]
