"""What is cut out of an image, so that a part of it is filtered as in the whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from convcli.filtering.filter import Filter
from convcli.loops.layout import ROWS, ceil_div
from convcli.pixels.mask import covering, is_filtered, is_mixed
from convcli.pixels.part import Rectangle
from convcli.pixels.source import Span
from convcli.running.recipe import halo_of
from convcli.types import Pixels
from convcli.words import Border

Stages = Sequence[tuple[Filter, Border, float]]
"""The filters from the first to the last, each with its border, and the value of a constant one."""

# Samples of which the result is held as floats, to be mixed.
_HELD_SAMPLES = 1 << 23


@dataclass(frozen=True)
class Reach:
    """What a part needs around it.

    Attributes
    ----------
    halo : (int, int)
        Rows above, and as many below, and columns left, and as many right: of all stages together.
    units : (int, int)
        Rows, and columns, whose sums are made together: cuts lie at multiples of them.
    wraps : bool
        The other end of the image lies beyond an edge.
    whole : bool
        A result depends on the whole image.
    """

    halo: tuple[int, int]
    units: tuple[int, int]
    wraps: bool
    whole: bool


def reach_of(stages: Stages) -> Reach:
    """Return what a part needs around it for all stages."""
    halos, units = [], [(ROWS, ROWS)]
    for each, _, _ in stages:
        above, below, left, right = halo_of(each.kernels[0].shape, each.correlate)
        halo = max(above, below), max(left, right)
        if each.decimations:
            y, x = each.decimations
            halo = max(halo[0], y.radius), max(halo[1], x.radius)
            units.append((ROWS * y.step, ROWS * x.step))
        halos.append(halo)
    return Reach(
        (sum(y for y, _ in halos), sum(x for _, x in halos)),
        (math.lcm(*(y for y, _ in units)), math.lcm(*(x for _, x in units))),
        wraps=any(border == "wrap" for _, border, _ in stages),
        whole=any(each.needs_all for each, _, _ in stages),
    )


def pieces(
    region: Rectangle, mask: Pixels | None, reach: Reach, channels: int
) -> list[tuple[Rectangle, bool]]:
    """Cut a region into rectangles to be filtered, or (not whole) to be filtered and mixed."""
    if mask is None:
        return [(region, True)]
    halo = 2 * reach.halo[0], 2 * reach.halo[1]
    found = [(each, True) for each in covering(mask, region, is_filtered, halo)]
    for each in covering(mask, region, is_mixed, halo):
        (top, bottom), (first, last) = each
        rows = max(_HELD_SAMPLES // ((last - first) * channels), 2 * halo[0], 1)
        found += [
            (Rectangle((start, min(start + rows, bottom)), each.columns), False)
            for start in range(top, bottom, rows)
        ]
    return found


def seen(span: Span, halo: int, length: int, unit: int, wraps: bool) -> Span:
    """Return which rows, or columns, of an image have to be cut out for some of the result."""
    first = span[0] // unit * unit - halo
    last = ceil_div(span[1], unit) * unit + halo
    if wraps and (first < 0 or last > length):
        return 0, length
    return max(first // unit * unit, 0), min(last, length)
