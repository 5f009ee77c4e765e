"""How the curves of a race look: the colours, lines and points of contenders."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Literal

from convcli.racing.results import Race

# Text and lines, and what is behind them; a page gives them its own (`svg`).
INK, PAPER = "#1b1c1e", "#fdfdfd"

# Okabe and Ito's colours for all kinds of colour vision (jfly.uni-koeln.de/color, 2002) without
# black and yellow; orange and sky blue are darker, so that each has a contrast of 3 and more to
# white and to a page of #15171c (WCAG 2.2, 1.4.11).
HUES = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#b97f00", "#2e93cf", "#777777")


@dataclass(frozen=True)
class Look:
    """How a kind of contender is told from the others without colours.

    Attributes
    ----------
    marker : str
        matplotlib's sign for the form of a point.
    size, line_width : float
        Of a point and of a line, in points (1/72 inch).
    weight, style : str
        Of the letters of its name.
    """

    marker: str
    size: float
    line_width: float
    weight: Literal["bold", "normal"]
    style: Literal["normal", "italic"]


LOOKS = {
    "method": Look("o", 5.0, 1.9, "bold", "normal"),
    "classical": Look("^", 5.0, 1.0, "normal", "normal"),
    "peer": Look("s", 4.0, 1.0, "normal", "italic"),
}
DASHED, DOTTED = (0, (5, 2)), (0, (1, 1.6))


def dot_style(look: Look) -> dict[str, Any]:
    """Return a contender's points as matplotlib's settings of a line."""
    return {"marker": look.marker, "markersize": look.size}


def hues_of(race: Race) -> dict[str, str]:
    """Give each contender a colour, by its number among those of its kind."""
    hues = {}
    numbers: dict[str, dict[str, int]] = defaultdict(dict)
    for result in race.results:
        known = numbers[result.kind]
        number = known.setdefault(result.contender.removesuffix(" dense"), len(known))
        hues[result.contender] = HUES[number % len(HUES)]
    return hues
