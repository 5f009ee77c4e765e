"""The curves of a race: which results they show, and where they cross."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from convcli.racing.results import Race, Result

Across = Literal["size", "side"]
"""The x axis: the size of the image, or the side of the kernel."""


@dataclass(frozen=True)
class Crossover:
    """Where one contender becomes faster than another, which was the fastest so far.

    Attributes
    ----------
    place : float
        Megapixels, or the kernel's side in pixels.
    seconds : float
        What both take there, by linear interpolation on logarithmic axes.
    slower, faster : str
        The fastest contender before, and the fastest from there on.
    """

    place: float
    seconds: float
    slower: str
    faster: str


def results_across(race: Race, across: Across) -> list[Result]:
    """Return the results of which each contender has one curve along x.

    They share a kernel shape, or an image size: the one with the most points, or the middle one
    of several.
    """
    groups: dict[tuple[int, ...], list[Result]] = defaultdict(list)
    for result in race.results:
        by_size = result.kernel_height, result.kernel_width
        fixed = by_size if across == "size" else (result.height, result.width)
        groups[fixed].append(result)
    lengths = {
        fixed: len({place(result, across) for result in group}) for fixed, group in groups.items()
    }
    longest = [fixed for fixed in groups if lengths[fixed] == max(lengths.values())]
    longest.sort(key=math.prod)
    return sorted(groups[longest[len(longest) // 2]], key=lambda each: place(each, across))


def is_bars(race: Race, across: Across) -> bool:
    """Whether bars are drawn, because each curve would have a single point."""
    return len({place(result, across) for result in results_across(race, across)}) == 1


def heading(race: Race, across: Across) -> str:
    """Return the heading of a panel."""
    if is_bars(race, across):
        return "Time of each contender"
    return f"Time against {'image size' if across == 'size' else 'kernel side'}"


def place(result: Result, across: Across) -> float:
    """Return the position of a result along x: megapixels, or the kernel's side in pixels."""
    return result.height * result.width / 1e6 if across == "size" else result.side


def place_name(at: float, across: Across) -> str:
    """Name a position along x."""
    return f"{at:.3g} MP" if across == "size" else f"side {at:.0f}"


def seconds(result: Result) -> float:
    """Return the time of a result that has one."""
    assert result.seconds is not None
    return result.seconds


def crossovers(results: list[Result], across: Across) -> list[Crossover]:
    """Return where FFT and direct contenders overtake each other, separable and dense apart.

    Other packages do not count.
    """
    found: list[Crossover] = []
    for form in ("separable", "dense"):
        direct: dict[float, Result] = {}
        fft: dict[float, Result] = {}
        for result in results:
            if result.form != form or result.kind == "peer" or result.seconds is None:
                continue
            fastest = fft if result.contender.startswith("fft") else direct
            at = place(result, across)
            if at not in fastest or seconds(result) < seconds(fastest[at]):
                fastest[at] = result
        for left, right in pairwise(sorted(direct.keys() & fft.keys())):
            found += _crossing((left, right), direct, fft)
    return sorted(found, key=lambda each: each.place)


def _crossing(
    ends: tuple[float, float], direct: dict[float, Result], fft: dict[float, Result]
) -> Iterator[Crossover]:
    """Yield where two straight lines cross on logarithmic axes, if they do."""
    left, right = ends
    before, after = (math.log(seconds(direct[at]) / seconds(fft[at])) for at in ends)
    if (before < 0) == (after < 0):
        return
    part = before / (before - after)
    slower, faster = (direct, fft) if before < 0 else (fft, direct)
    yield Crossover(
        left ** (1 - part) * right**part,
        seconds(direct[left]) ** (1 - part) * seconds(direct[right]) ** part,
        slower[left].contender,
        faster[right].contender,
    )


def described(crossover: Crossover, across: Across) -> str:
    """Describe a crossover in a sentence."""
    where = place_name(crossover.place, across)
    return f"{crossover.faster} overtakes {crossover.slower} at {where}"
