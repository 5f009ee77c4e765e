"""How contenders look in plots: colours by name, lines, points and letters by kind."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from convcli.racing.results import Race

# Text and lines, and their background; on a page both follow its colours (`drawing.svg`).
INK, PAPER = "#1b1c1e", "#fdfdfd"

# Okabe and Ito's colours for all kinds of colour vision (jfly.uni-koeln.de/color, 2002) without
# black and yellow; orange and sky blue are darker, so that each has a contrast of at least 3 to
# white and to a page of #15171c (WCAG 2.2, 1.4.11).
HUES = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#b97f00", "#2e93cf", "#777777")

# Kinds differ without colour as well: by their points, their lines and the letters of their names.
KINDS = {"method": "method", "classical": "classical", "peer": "other package"}
"""The kinds of contenders, and what a legend calls them."""
LINES: dict[str, dict[str, Any]] = {
    "method": {"marker": "o", "markersize": 5.0, "linewidth": 1.9},
    "classical": {"marker": "^", "markersize": 5.0, "linewidth": 1.0},
    "peer": {"marker": "s", "markersize": 4.0, "linewidth": 1.0},
}
LETTERS: dict[str, dict[str, str]] = {
    "method": {"weight": "bold"},
    "classical": {},
    "peer": {"style": "italic"},
}
DASHED, DOTTED = (0, (5, 2)), (0, (1, 1.6))


def hues_of(race: Race) -> dict[str, str]:
    """Give each contender a colour: in order within its kind, the same for both of its forms."""
    hues = {}
    numbers: dict[str, dict[str, int]] = defaultdict(dict)
    for result in race.results:
        known = numbers[result.kind]
        number = known.setdefault(result.contender.removesuffix(" dense"), len(known))
        hues[result.contender] = HUES[number % len(HUES)]
    return hues
