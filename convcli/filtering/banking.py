"""A bank of kernels whose maps are an image, as a filter: a stage of a chain."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from convcli.banks.bank import Bank, bank_of
from convcli.banks.maps import Wish, bank_from, maps_for
from convcli.checks import count, flag
from convcli.errors import ConvcliError
from convcli.filtering.filter import Filter
from convcli.kernels.kernel import Kernel, kernel_from
from convcli.loops.contract import magnitude_of_any_size
from convcli.pixels.colour import ColourUse
from convcli.running.recipe import Combine
from convcli.types import Floats, Pixels

Term = tuple[int, int]
"""A kernel, by its number, and the channel that it is applied to."""


def banking(
    bank: str | ArrayLike,
    *,
    layer: str | None = None,
    angle: float | None = None,
    stride: int | None = None,
    dilation: int = 1,
    groups: int = 1,
    relu: bool = False,
    energy: bool = False,
) -> Filter:
    """Define a bank as a filter; see ``convcli bank`` for its arguments.

    Of one channel, which is the luminance, it makes one map; of red, green and blue, three.

    Raises
    ------
    ConvcliError
        If its maps are not an image, or it cannot give what it is asked for.

    Examples
    --------
    >>> len(banking("gabor:1,1", energy=True).kernels)
    2
    """
    steps = None if stride is None else count(stride, "stride")
    wish = Wish(
        steps, count(dilation, "dilation"), count(groups, "groups"), flag(relu, "relu"),
        energy=flag(energy, "energy"),
    )  # fmt: skip
    chosen = bank_from(bank, layer, angle) if isinstance(bank, str) else bank_of(bank, "weights")
    maps = maps_for(chosen, wish)
    if len(maps.names) != maps.channels or not isinstance(maps.bank, Bank):
        raise ConvcliError(
            f"it makes {_counted(len(maps.names), 'map')} of {_counted(maps.channels, 'channel')} "
            f"({_some(maps.names)}); a stage must make as many maps as it takes channels"
        )
    kernels, terms = _terms(maps.bank, groups)
    combine: Combine | None = None
    if energy:  # of a built-in bank, which has the same kernels for each channel
        kernels = [kernels[half] for half in maps.bank.pairs[0]]
        combine = _energy
    elif terms != [[(0, channel)] for channel in range(maps.channels)]:
        combine = partial(_mixed, terms=terms, relu=relu)
    elif relu:
        combine = _rectified
    return Filter(
        tuple(_kernel(each, dilation) for each in kernels),
        correlate=True,
        combine=combine,
        use=ColourUse("luminance" if maps.channels == 1 else "colours"),
        stride=maps.stride,
        channels=maps.channels,
    )


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _terms(bank: Bank, groups: int) -> tuple[list[Floats], list[list[Term]]]:
    """Return the kernels, each once, and for each map those that it is the sum of."""
    each, size = len(bank.weights) // groups, bank.weights.shape[1]
    number: dict[bytes, int] = {}
    kernels: list[Floats] = []
    terms: list[list[Term]] = []
    for m, of_map in enumerate(bank.weights):
        terms.append([])
        for c, kernel in enumerate(of_map):
            if kernel.tobytes() not in number:
                number[kernel.tobytes()] = len(kernels)
                kernels.append(kernel)
            terms[-1].append((number[kernel.tobytes()], m // each * size + c))
    return kernels, terms


def _kernel(weights: Floats, dilation: int) -> Kernel:
    """Return a kernel of odd sides, whose middle lies where a layer with padding puts it."""
    kernel = kernel_from(np.asarray(weights, np.float64)).dilated(dilation)
    even = [1 - length % 2 for length in kernel.shape]
    if not any(even):
        return kernel
    # A layer has one row or column more after the pixel than before it.
    return kernel_from(np.pad(kernel.weights, [(more, 0) for more in even]))


def _energy(centre: Pixels, even: Floats, odd: Floats) -> Floats:
    return magnitude_of_any_size(centre, even, odd)


def _rectified(_centre: Pixels, filtered: Floats) -> Floats:
    return np.maximum(filtered, 0, out=filtered)


def _mixed(_centre: Pixels, *filtered: Floats, terms: list[list[Term]], relu: bool) -> Floats:
    """Add up each map from the channels that its kernels filtered; the rest, an alpha, stays."""
    result = filtered[0].copy()
    for m, of_map in enumerate(terms):
        (first, channel), *others = of_map
        result[..., m] = filtered[first][..., channel]
        for kernel, channel in others:
            result[..., m] += filtered[kernel][..., channel]
    return np.maximum(result, 0, out=result) if relu else result
