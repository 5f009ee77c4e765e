"""The maps of an image: a bank or a cascade over its channels, rectified and pooled."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convcli import memory
from convcli.banks.bank import Bank
from convcli.banks.cascades import CASCADES, plane_names
from convcli.banks.convolution import run_plan
from convcli.banks.files import SUFFIXES, read_bank
from convcli.banks.layer import Layer, convolution_layer
from convcli.banks.named import NAMED, named_bank
from convcli.banks.network import check_windows, max_pool2d, relu
from convcli.banks.plan import BankPlan, plan_layer
from convcli.errors import ConvcliError
from convcli.types import Floats, OnProgress, Pixels
from convcli.words import BankMethod, Border, counted, listed, nearest

# Names of the channels of an image, by their number, as they stand before the name of a map.
_CHANNELS = {1: ("",), 3: ("red-", "green-", "blue-")}


@dataclass(frozen=True)
class Cascade:
    """A cascade by its name, and how many levels it has."""

    name: str
    levels: float

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its planes."""
        return plane_names(self.levels)


def bank_from(text: str, layer: str | None = None, angle: float | None = None) -> Bank | Cascade:
    """Return the bank that a text stands for: a built-in one, a cascade, or a file.

    Parameters
    ----------
    text : str
        ``gabor:8,3``, ``starlet:4``, or the name of a .npy, .npz or .safetensors file.
    layer : str, optional
        The name of an array in a file.
    angle : float, optional
        Degrees, for ``steerable``.

    Raises
    ------
    ConvcliError
        If there is no such bank, or it cannot be read.

    Examples
    --------
    >>> bank_from("gabor:2,1").names
    ('4px-0deg-even', '4px-0deg-odd', '4px-90deg-even', '4px-90deg-odd')
    >>> bank_from("starlet:2").names
    ('level-1', 'level-2', 'smooth')
    """
    word, colon, rest = text.partition(":")
    is_file = word not in (*NAMED, *CASCADES)
    if is_file and Path(text).suffix.lower() not in SUFFIXES:
        if near := nearest(word, (*NAMED, *CASCADES)):
            meant = near + colon + rest
            try:
                bank_from(meant)
            except ConvcliError:
                meant = near  # it takes other numbers
            raise ConvcliError(f"unknown bank {text!r}; did you mean {meant!r}?")
        usual = [row.usage for row in NAMED.values()] + [f"{name}:LEVELS" for name in CASCADES]
        raise ConvcliError(
            f"unknown bank {text!r}; it must be {', '.join(usual)}, or a {listed(SUFFIXES)} file"
        )
    if angle is not None and word != "steerable":
        raise ConvcliError(f"--angle is for steerable, not for {text!r}; leave it out")
    if is_file:
        return read_bank(Path(text), layer)
    if layer is not None:
        raise ConvcliError(f"--layer is for files, not for {text!r}; leave it out")
    if word in NAMED:
        return named_bank(text, angle)
    try:
        levels = float(rest) if colon else 4.0
    except ValueError:
        raise ConvcliError(f"{text!r} must be typed as {word}:LEVELS, with a number") from None
    plane_names(levels)  # raises the error of a number that is not valid
    return Cascade(word, levels)


@dataclass(frozen=True)
class Wish:
    """What a bank is asked for.

    Attributes
    ----------
    stride : int, optional
        Keep one result in so many along each axis; default: the bank's own stride, or 1.
    dilation : int
        Distance of a kernel's weights, in pixels.
    groups : int
        Of a layer in a file as for `convcli.conv2d`. A built-in bank is applied to each of so many
        channels.
    relu : bool
        Replace negative results by 0.
    pool : int
        Keep the largest of each so many x so many results.
    energy : bool
        Give the root of the sum of the squares of each quadrature pair instead.
    border, method
        As for `convcli.conv2d`.
    """

    stride: int | None = None
    dilation: int = 1
    groups: int = 1
    relu: bool = False
    pool: int = 1
    energy: bool = False
    border: Border = "reflect"
    method: BankMethod = "auto"


@dataclass(frozen=True)
class Maps:
    """What is made of every image; `of` makes it.

    Attributes
    ----------
    bank : Bank or Cascade
        With kernels for all groups.
    wish : Wish
        What it is asked for.
    names : tuple of str
        A name for each map.
    channels : int
        Channels that an image must have: 1, which is the luminance, or 3.
    """

    bank: Bank | Cascade
    wish: Wish
    names: tuple[str, ...]
    channels: int

    @property
    def is_signed(self) -> bool:
        """Whether maps may be negative."""
        return not (self.wish.relu or self.wish.energy)

    @property
    def row(self) -> int:
        """How many maps belong in a row of a contact sheet; 0 for any number."""
        own = self.bank.row if isinstance(self.bank, Bank) else 0
        return own // 2 if self.wish.energy else own

    @property
    def stride(self) -> int:
        """Pixels from one result to the next."""
        own = self.bank.stride if isinstance(self.bank, Bank) else 1
        return self.wish.stride or own

    def of(
        self,
        x: Floats,
        *,
        workers: int | None = None,
        on_plan: Callable[[BankPlan], None] | None = None,
        on_done: OnProgress = lambda _done, _total: None,
    ) -> list[Floats]:
        """Return the maps of the channels ``(C, H, W)`` of an image, in the order of their names.

        Raises
        ------
        ConvcliError
            If the image has other channels than the bank, is smaller than a pool, or if its maps do
            not fit in memory.
        """
        if len(x) != self.channels:
            raise ConvcliError(
                f"has {counted(len(x), 'channel')} (shape {x.shape}), but the bank needs "
                f"{self.channels} ({_shape(self.bank)})"
            )
        x = np.ascontiguousarray(x)
        pool = self.wish.pool
        if isinstance(self.bank, Cascade):
            check_windows((pool, pool), (x.shape[1], x.shape[2]))
            memory.check(len(self.names) * x[0].size * (x.itemsize + 1))
            split = CASCADES[self.bank.name]
            planes = split(
                x, self.bank.levels, self.wish.border,
                method=self.wish.method, workers=workers, on_plan=on_plan,
            )  # fmt: skip
            maps = [plane.samples[c] for c in range(self.channels) for plane in planes]
        else:
            layer = self._layer(self.bank, x)
            check_windows((pool, pool), layer.out_size)
            # A byte more for each: they are written one after the other.
            memory.check(layer.maps * math.prod(layer.out_size) * (x.itemsize + 1))
            plan = plan_layer(layer, self.wish.method, workers)
            if on_plan:
                on_plan(plan)
            weights = np.ascontiguousarray(self.bank.weights, x.dtype)
            maps = list(run_plan(plan, x, weights, on_done=on_done))
            if self.wish.energy:
                with np.errstate(all="ignore"):
                    maps = [np.hypot(maps[even], maps[odd]) for even, odd in self.bank.pairs]
        if self.wish.relu:
            maps = [relu(each) for each in maps]
        return [max_pool2d(each, pool) for each in maps] if pool > 1 else maps

    def _layer(self, bank: Bank, x: Floats) -> Layer:
        """Return the layer whose results with stride 1 lie on the pixels of the image."""
        layer = convolution_layer(
            x.shape, bank.weights.shape, x.dtype, padding="same", dilation=self.wish.dilation,
            groups=self.wish.groups, border=self.wish.border,
        )  # fmt: skip
        return replace(layer, stride=(self.stride, self.stride))


def maps_for(bank: Bank | Cascade, wish: Wish) -> Maps:
    """Check what a bank is asked for, before any image is read.

    Raises
    ------
    ConvcliError
        If the bank cannot give it, or no image has the channels that it needs.
    """
    is_layer = isinstance(bank, Bank) and bank.is_layer
    channels = wish.groups * (bank.weights.shape[1] if isinstance(bank, Bank) else 1)
    if channels not in _CHANNELS:
        raise ConvcliError(
            f"the bank ({_shape(bank)}) with {counted(wish.groups, 'group')} needs "
            f"{counted(channels, 'channel')}, but images have the shape (1, H, W) or (3, H, W)"
        )
    if isinstance(bank, Cascade):
        _check_cascade(bank, wish)
        names = tuple(channel + name for channel in _CHANNELS[channels] for name in bank.names)
        return Maps(bank, wish, names, channels)
    if is_layer and len(bank.weights) % wish.groups:
        raise ConvcliError(
            f"{wish.groups} groups do not divide the {len(bank.weights)} maps of the bank "
            f"({_shape(bank)})"
        )
    if not is_layer:
        bank = _for_each_channel(bank, _CHANNELS[channels])
    names = bank.names
    if wish.energy:
        if not bank.pairs:
            raise ConvcliError(
                "--energy needs quadrature pairs, which only gabor has; leave it out, or use "
                "gabor:ANGLES,SCALES"
            )
        names = tuple(bank.names[even].removesuffix("-even") for even, _ in bank.pairs)
    return Maps(bank, wish, names, channels)


def _check_cascade(bank: Cascade, wish: Wish) -> None:
    for word, given in (("stride", wish.stride not in (None, 1)), ("dilation", wish.dilation > 1)):
        if given:
            raise ConvcliError(f"--{word} is not for {bank.name}, which has its own; leave it out")
    if wish.energy:
        raise ConvcliError(f"--energy needs quadrature pairs, and {bank.name} has none")


def _for_each_channel(bank: Bank, channels: tuple[str, ...]) -> Bank:
    """Repeat a bank for each channel, which is a group of its own."""
    number = len(bank.weights)
    return replace(
        bank,
        weights=np.tile(bank.weights, (len(channels), 1, 1, 1)),
        names=tuple(channel + name for channel in channels for name in bank.names),
        pairs=tuple(
            (c * number + even, c * number + odd)
            for c in range(len(channels))
            for even, odd in bank.pairs
        ),
    )


def _shape(bank: Bank | Cascade) -> str:
    if isinstance(bank, Cascade):
        return bank.name
    return f"weights of shape {bank.weights.shape}"


def largest_of(arrays: Iterable[Floats]) -> float:
    """Return the largest absolute value of arrays, 0 if none is finite."""
    return max(float(np.abs(a).max(initial=0.0, where=np.isfinite(a))) for a in arrays)


# Float32 sums of kernels that add up to 0 leave up to 4e-7 of the image's samples where it is flat.
_ROUNDING = 1e-6


def as_bytes(maps: list[Floats], is_signed: bool, unit: float = 0.0) -> tuple[list[Pixels], str]:
    """Turn maps into 8-bit images with one scale, and say which.

    Signed maps are shown about mid-grey, others from black. NaN becomes the value of 0. `unit` is
    the largest absolute sample of the image: maps of a flat one, which are rounding, stay flat.
    """
    largest = largest_of(maps)
    if largest <= _ROUNDING * unit:
        largest = 0.0
    zero, span = (128.0, 127.0) if is_signed else (0.0, 255.0)
    factor = span / largest if largest > 0 else 0.0
    shown = []
    for each in maps:
        levels = np.nan_to_num(each, posinf=largest, neginf=-largest) * each.dtype.type(factor)
        levels += each.dtype.type(zero)
        shown.append(np.rint(levels).clip(0, 255).astype(np.uint8))
    if not factor:
        return shown, f"8-bit maps are all {zero:.0f}, because every map is 0 except for rounding"
    start = "128 + 127" if is_signed else "255"
    top = f"{largest:.6g}"
    return shown, f"8-bit maps hold {start} * value / {top} ({top} is the largest absolute value)"
