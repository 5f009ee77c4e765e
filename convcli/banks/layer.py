"""What a layer computes: shapes, stride, dilation, padding and groups, checked together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from convcli.errors import ConvcliError
from convcli.pixels.borders import INDEX_OF, Index
from convcli.words import Border, counted

Pair = tuple[int, int]
Padding = int | tuple[int, int] | Literal["same", "valid"]

Kind = Literal["depthwise", "pointwise", "dense", "grouped"]


@dataclass(frozen=True)
class Layer:
    """A convolution, or a transposed one, as far as its result's shape and its cost depend on it.

    Attributes
    ----------
    images, channels, size
        Of the input: N, C_in and (H, W).
    maps : int
        Channels of the result, C_out.
    kernel, stride, dilation : (int, int)
        Along y and x.
    groups : int
        Map m sees the channels of its own group alone.
    before, after : (int, int)
        Padding above and to the left, below and to the right. A transposed convolution drops so
        many rows and columns of its result instead.
    border : str
        What the padding holds.
    dtype : dtype
        float32 or float64.
    transposed : bool
        Whether each sample of the input is spread over the result, instead of the reverse.
    """

    images: int
    channels: int
    size: Pair
    maps: int
    kernel: Pair
    stride: Pair
    dilation: Pair
    groups: int
    before: Pair
    after: Pair
    border: Border
    dtype: np.dtype[Any]
    transposed: bool = False

    @property
    def extent(self) -> Pair:
        """Rows and columns that the kernel spans, with the gaps of its dilation."""
        (height, width), (dy, dx) = self.kernel, self.dilation
        return (height - 1) * dy + 1, (width - 1) * dx + 1

    @property
    def out_size(self) -> Pair:
        """Rows and columns of the result."""
        return self._out(0), self._out(1)

    def _out(self, axis: int) -> int:
        length, step, extent = self.size[axis], self.stride[axis], self.extent[axis]
        around = self.before[axis] + self.after[axis]
        if self.transposed:
            return (length - 1) * step + extent - around
        return (length + around - extent) // step + 1

    @property
    def out_shape(self) -> tuple[int, int, int, int]:
        """Shape of the result, ``(N, C_out, H, W)``."""
        return self.images, self.maps, *self.out_size

    @property
    def kind(self) -> Kind:
        """What is special about the layer: each kind is planned as such."""
        if self.groups > 1:
            return "depthwise" if self.groups == self.channels else "grouped"
        return "pointwise" if self.kernel == (1, 1) else "dense"

    @property
    def multiplications(self) -> int:
        """Products of the definition: one for each weight, map and pixel of the result.

        A transposed convolution has one for each weight, channel and pixel of the input.
        """
        height, width = self.size if self.transposed else self.out_size
        pairs = self.channels * self.maps // self.groups
        return self.images * pairs * self.kernel[0] * self.kernel[1] * height * width

    def index(self, axis: int, first: int, count: int) -> Index:
        """Return which row (or column) of the input stands at each position, -1 for a zero.

        Positions are counted from the input's first row; those before it are negative.
        """
        return INDEX_OF[self.border](np.arange(first, first + count), self.size[axis])


def convolution_layer(
    x: tuple[int, ...],
    weight: tuple[int, ...],
    dtype: np.dtype[Any],
    *,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    border: Border = "constant",
) -> Layer:
    """Return the layer of a convolution of these shapes, or raise `ConvcliError`."""
    images, channels, height, width = _input(x, weight, "(C_out, C_in / groups, KH, KW)")
    maps, each, *kernel = weight
    groups = _groups(groups, x, weight, channels=channels, maps=maps)
    if each * groups != channels:
        raise ConvcliError(
            f"weight of shape {weight} with {counted(groups, 'group')} needs "
            f"{counted(each * groups, 'channel')}, but the input of shape {x} has {channels}"
        )
    steps, gaps = pair(stride, "stride"), pair(dilation, "dilation")
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, gaps, strict=True)]
    before, after = _padded(padding, extent, steps)
    if not isinstance(border, str) or border not in INDEX_OF:
        raise ConvcliError(f"unknown border {border!r}; it must be one of {', '.join(INDEX_OF)}")
    # A step beyond the padded input reaches one result, however long it is.
    padded = height + before[0] + after[0], width + before[1] + after[1]
    steps = min(steps[0], padded[0]), min(steps[1], padded[1])
    layer = Layer(
        images, channels, (height, width), maps, (kernel[0], kernel[1]), steps, gaps, groups,
        before, after, border, dtype,
    )  # fmt: skip
    if padded[0] < extent[0] or padded[1] < extent[1]:
        raise ConvcliError(
            f"the kernel spans {extent[0]} x {extent[1]} pixels, more than the padded input of "
            f"{padded[0]} x {padded[1]}"
        )
    return layer


def transposed_layer(
    x: tuple[int, ...],
    weight: tuple[int, ...],
    dtype: np.dtype[Any],
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Layer:
    """Return the layer of a transposed convolution of these shapes, or raise `ConvcliError`."""
    images, channels, height, width = _input(x, weight, "(C_in, C_out / groups, KH, KW)")
    rows, each, *kernel = weight
    groups = _groups(groups, x, weight, channels=channels)
    if rows != channels:
        raise ConvcliError(
            f"weight of shape {weight} needs {counted(rows, 'channel')}, but the input of shape "
            f"{x} has {channels}"
        )
    steps, gaps = pair(stride, "stride"), pair(dilation, "dilation")
    before = pair(padding, "padding", least=0)
    more = pair(output_padding, "output_padding", least=0)
    for extra, step, gap in zip(more, steps, gaps, strict=True):
        if extra >= max(step, gap):
            raise ConvcliError(
                f"output_padding {more} must be less than stride {steps} or dilation {gaps}"
            )
    after = (before[0] - more[0], before[1] - more[1])
    layer = Layer(
        images, channels, (height, width), each * groups, (kernel[0], kernel[1]), steps, gaps,
        groups, before, after, "constant", dtype, transposed=True,
    )  # fmt: skip
    if min(layer.out_size) < 1:
        raise ConvcliError(
            f"padding {before} leaves nothing of a result of {layer.out_size[0] + 2 * before[0]} x "
            f"{layer.out_size[1] + 2 * before[1]}"
        )
    return layer


def _input(x: tuple[int, ...], weight: tuple[int, ...], axes: str) -> tuple[int, int, int, int]:
    if len(x) not in (3, 4):
        raise ConvcliError(f"x must be (N, C_in, H, W) or (C_in, H, W), not of shape {x}")
    if len(weight) != 4:
        raise ConvcliError(f"weight must be {axes}, not of shape {weight}")
    if not all(_is_whole(length) and length >= 0 for length in (*x, *weight)):
        raise ConvcliError(f"shapes must be whole numbers, not {x} for x and {weight} for weight")
    if 0 in x or 0 in weight:
        raise ConvcliError(f"x of shape {x} and weight of shape {weight} must not be empty")
    images, channels, height, width = (1, *x)[-4:]
    return images, channels, height, width


def _groups(groups: int, x: tuple[int, ...], weight: tuple[int, ...], **counts: int) -> int:
    if not _is_whole(groups) or groups < 1:
        raise ConvcliError(f"groups must be a whole number of at least 1, not {groups!r}")
    for name, number in counts.items():
        if number % groups:
            raise ConvcliError(
                f"{groups} groups do not divide {number} {name} (x has the shape {x}, weight "
                f"{weight})"
            )
    return int(groups)


def pair(value: Any, name: str, least: int = 1) -> Pair:
    """Return a number, or a pair of them, as a pair."""
    if type(value) is int and value >= least:  # nearly always, and no more need be checked
        return value, value
    values = (value, value) if _is_whole(value) else value
    if not (isinstance(values, (tuple, list)) and len(values) == 2 and all(map(_is_whole, values))):
        raise ConvcliError(f"{name} must be a whole number or a pair of them, not {value!r}")
    if min(values) < least:
        raise ConvcliError(f"{name} must be at least {least}, not {value!r}")
    return int(values[0]), int(values[1])


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _padded(padding: Any, extent: list[int], steps: Pair) -> tuple[Pair, Pair]:
    """Return the padding before and after each axis."""
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0), (0, 0)
        if padding != "same":
            raise ConvcliError(
                f"padding must be a number, a pair, 'same' or 'valid', not {padding!r}"
            )
        if steps != (1, 1):
            raise ConvcliError(f"padding 'same' needs a stride of 1, not {steps}")
        # An even extent has one row or column more after than before, as in PyTorch.
        before = ((extent[0] - 1) // 2, (extent[1] - 1) // 2)
        return before, (extent[0] - 1 - before[0], extent[1] - 1 - before[1])
    both = pair(padding, "padding", least=0)
    return both, both
