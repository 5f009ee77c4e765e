"""The race of filter banks: the methods of `convcli.banks`, and other packages, on one layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from convcli.banks.contract import METHODS
from convcli.banks.convolution import conv2d, plan_conv2d
from convcli.banks.im2col import columns_factor
from convcli.banks.layer import Layer
from convcli.banks.maps import Cascade, bank_from
from convcli.banks.plan import BankPlan, counted, plan_layer
from convcli.banks.winograd import serves
from convcli.errors import ConvcliError
from convcli.racing.contenders import Contender, Field
from convcli.racing.oracle import Oracle
from convcli.types import Floats, Pixels
from convcli.words import BankMethod

# The definition checks this many results of every map, within about this many products.
_FEWEST_SPOTS, _MOST_SPOTS = 2, 12
_PRODUCTS = 40_000
_TOLERANCE = 1e-10


@dataclass(frozen=True)
class Weights:
    """The weights of a layer, in the place of the kernel of a race.

    Attributes
    ----------
    name : str
        As it was typed.
    array : ndarray, (maps, channels, KH, KW)
        float32.
    """

    name: str
    array: Floats

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a kernel."""
        return int(self.array.shape[2]), int(self.array.shape[3])

    @property
    def channels(self) -> int:
        """Channels that the image must have."""
        return int(self.array.shape[1])


def weights_of(text: str) -> Weights:
    """Return the weights of a bank, or random ones of a size: ``64,64,3`` is maps, channels, side.

    Raises
    ------
    ConvcliError
        If it is neither.
    """
    words = text.split(",")
    if all(word.strip().isdecimal() for word in words):
        sizes = [int(word) for word in words]
        if len(sizes) != 3 or min(sizes) < 1 or math.prod(sizes) * sizes[-1] > 1 << 26:
            raise ConvcliError(
                f"a layer is typed as MAPS,CHANNELS,SIDE, such as 64,64,3, not {text!r}"
            )
        maps, channels, side = sizes
        drawn = np.random.default_rng(0).standard_normal((maps, channels, side, side))
        return Weights(text, (drawn / math.sqrt(channels * side * side)).astype(np.float32))
    bank = bank_from(text)
    if isinstance(bank, Cascade):
        raise ConvcliError(f"{bank.name} is a cascade of several layers; race a bank instead")
    return Weights(text, np.ascontiguousarray(bank.weights, np.float32))


def _laid_out(picture: Pixels) -> Floats:
    """Return an image as layers have it: ``(C, H, W)``."""
    return np.ascontiguousarray(np.moveaxis(picture, 2, 0))


def _images(maps: Floats) -> Pixels:
    """Return maps ``(M, H, W)`` as a view ``(H, W, M)``."""
    return np.moveaxis(maps, 0, 2)


def _by_method(method: BankMethod, x: Floats, weights: Weights) -> Pixels:
    return _images(conv2d(x, weights.array, padding="same", method=method))


def _plan(method: BankMethod, shape: Sequence[int], dtype: DTypeLike, weights: Weights) -> BankPlan:
    height, width, channels = shape
    return plan_conv2d(
        (channels, height, width), weights.array.shape, dtype, padding="same", method=method
    )


def _serves(method: str, weights: Weights) -> bool:
    return not method.startswith("winograd") or serves(_layer(weights, 8, 8))


def _layer(weights: Weights, height: int, width: int) -> Layer:
    x = (weights.channels, height, width)
    return plan_conv2d(x, weights.array.shape, padding="same").layer


def _by_torch(x: Floats, weights: Weights) -> Pixels:
    """torch.nn.functional.conv2d, in all of its threads."""
    import torch

    with torch.no_grad():
        maps = torch.nn.functional.conv2d(
            torch.from_numpy(x)[None], torch.from_numpy(weights.array), padding="same"
        )
    return _images(maps[0].numpy())


def _is_odd(weights: Weights) -> bool:
    return all(length % 2 for length in weights.shape)


def _by_ndimage(x: Floats, weights: Weights) -> Pixels:
    """scipy.ndimage.correlate of each channel with each kernel."""
    import scipy.ndimage

    maps = np.zeros((len(weights.array), *x.shape[1:]))
    # The centre of an even kernel is on the other side of its middle.
    origin = [-1 if length % 2 == 0 else 0 for length in weights.shape]
    for total, kernels in zip(maps, weights.array, strict=True):
        for plane, kernel in zip(x, kernels, strict=True):
            total += scipy.ndimage.correlate(plane, kernel, np.float64, "constant", origin=origin)
    return _images(maps.astype(x.dtype))


def _by_oaconvolve(x: Floats, weights: Weights) -> Pixels:
    """scipy.signal.oaconvolve of each channel with each kernel."""
    import scipy.signal

    before = [(length - 1) // 2 for length in weights.shape]
    sides = [(b, k - 1 - b) for b, k in zip(before, weights.shape, strict=True)]
    padded = np.pad(x, ((0, 0), *sides))
    maps = [
        scipy.signal.oaconvolve(padded, kernels[:, ::-1, ::-1], "valid", axes=(1, 2)).sum(axis=0)
        for kernels in weights.array
    ]
    return _images(np.stack(maps).astype(x.dtype))


def _row(kind: str, work: Any, *packages: str, **settings: Any) -> Contender:
    return Contender(kind, "dense", work, packages=packages, laid_out=_laid_out, **settings)


CONTENDERS: dict[str, Contender] = {
    **{
        method.replace("_", "-"): _row(
            "classical" if method == "definition" else "method",
            partial(_by_method, method),
            *(["numba"] if method == "direct" else []),
            takes=partial(_serves, method),
            plan=partial(_plan, method),
            memory_is_seen=method != "definition",
        )
        for method in METHODS
    },
    # Even sides would need an input with zeros around it, and a warning says so.
    "torch": _row("peer", _by_torch, "torch", takes=_is_odd, memory_is_seen=False),
    "scipy.ndimage": _row("peer", _by_ndimage, "scipy"),
    "scipy.oaconvolve": _row("peer", _by_oaconvolve, "scipy"),
}
"""All contenders by name; one that is listed is tested."""


def oracle_for(picture: Pixels, weights: Weights, trusted: str | None = None) -> Oracle:
    """Sum in float64 by im2col, and check some results of every map by the definition.

    Raises
    ------
    ConvcliError
        If they disagree.
    """
    x = _laid_out(picture).astype(np.float64)
    total = conv2d(x, weights.array.astype(np.float64), padding="same", method="im2col")
    if not trusted and not _agrees(total, x, weights.array.astype(np.float64)):
        raise ConvcliError("im2col's sums differ from the definition, so none can be checked")
    return Oracle(_images(total).astype(picture.dtype), "auto")


def _agrees(total: Floats, x: Floats, weights: Floats) -> bool:
    height, width = x.shape[1:]
    sides = [((k - 1) // 2, k - 1 - (k - 1) // 2) for k in weights.shape[2:]]
    padded = np.pad(x, ((0, 0), *sides))
    rng = np.random.default_rng(0)
    spots = [(0, 0), (height - 1, width - 1), (0, width - 1), (height - 1, 0)]
    rows, columns = (rng.integers(0, length, _MOST_SPOTS).tolist() for length in (height, width))
    spots += zip(rows, columns, strict=True)
    number = min(max(_PRODUCTS // weights.size, _FEWEST_SPOTS), _MOST_SPOTS)
    scale = max(1.0, float(np.abs(x).max())) * np.abs(weights).sum(axis=(1, 2, 3)).max()
    for y, left in spots[:number]:
        window = padded[:, y : y + weights.shape[2], left : left + weights.shape[3]]
        if weights.size <= _PRODUCTS:
            wanted = conv2d(window, weights, method="definition")[:, 0, 0]
        else:  # the same sums; the seven loops would take the whole budget
            wanted = np.tensordot(weights, window, axes=3)
        if not np.abs(total[:, y, left] - wanted).max() <= _TOLERANCE * scale:
            return False
    return True


BANKS = Field(CONTENDERS, oracle_for, always="im2col", has_images=False)
"""What a race of filter banks is about."""


def notes(weights: Weights, height: int, width: int) -> tuple[str, ...]:
    """Count the multiplications of every method, and the memory of im2col's whole matrix."""
    layer = _layer(weights, height, width)
    listed = [each.replace("_", "-") for each in counted(layer, plan_layer(layer).predicted)]
    return (
        f"multiplications for {width} x {height} pixels: {'; '.join(listed)}",
        f"im2col's whole matrix would take {columns_factor(layer):.3g} times the memory of the "
        "input; it is made block by block",
    )


def usual_sizes(weights: Weights) -> list[str]:
    """Return three sizes in megapixels, of which the largest takes about a tenth of a second."""
    # 64 MB of maps, and 2e10 products.
    most = min(1.6e7 / len(weights.array), 2e10 / weights.array.size, 4e6)
    return [f"{most / part / 1e6:.2g}" for part in (16, 4, 1)]


def generated(height: int, width: int, channels: int) -> Floats:
    """Return noise ``(height, width, channels)`` as float32, the same each time."""
    return np.random.default_rng(0).standard_normal((height, width, channels), np.float32)
