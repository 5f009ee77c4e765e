"""The public functions: convolution layers of arrays, forward and transposed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from convcli.banks.arrays import arrays_of, bias_of, dtype_of, new_maps
from convcli.banks.contract import load
from convcli.banks.layer import Padding, Pair, convolution_layer, transposed_layer
from convcli.banks.plan import BankPlan, plan_layer
from convcli.banks.windows import strip_of
from convcli.errors import ConvcliError
from convcli.loops.compiled import machine_code
from convcli.loops.layout import ceil_div
from convcli.running.threads import share
from convcli.types import Floats, OnProgress
from convcli.words import BankMethod, Border


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    border: Border = "constant",
    method: BankMethod = "auto",
    workers: int | None = None,
) -> Floats:
    """Correlate every channel with a bank of kernels, as a layer of a network does.

    Parameters
    ----------
    x : array_like, (N, C_in, H, W) or (C_in, H, W)
        float32 or float64.
    weight : array_like, (C_out, C_in / groups, KH, KW)
        The kernels. They are not flipped: ``out[m, y, x]`` is the sum of
        ``weight[m, c, i, j] * x[c, y * stride + i * dilation, x * stride + j * dilation]``.
    bias : array_like, (C_out,), optional
        Added to each map.
    stride, dilation : int or (int, int), default 1
        Steps between results, and between the samples of a kernel, along y and x.
    padding : int, (int, int), "same" or "valid", default 0
        Rows and columns on each side; "same" keeps the size and needs a stride of 1.
    groups : int, default 1
        Maps and channels are divided into so many groups, and each map sees its own group's
        channels alone. ``groups=C_in`` is a depthwise convolution.
    border : {"constant", "reflect", "mirror", "nearest", "wrap"}
        What the padding holds; "constant" is zeros.
    method : {"auto", "direct", "im2col", "winograd", "winograd_4x4", "fft", "definition"}
        How to compute it; every method gives the same maps to rounding. See `plan_conv2d`.
    workers : int, optional
        Cores to use; default: every core that this process may use.

    Returns
    -------
    ndarray, (N, C_out, H', W') or (C_out, H', W')
        Of the dtype of `x`.

    Raises
    ------
    ConvcliError
        If the shapes do not fit; the message names them.

    Examples
    --------
    >>> import numpy as np
    >>> import convcli
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    >>> edges = np.array([[[[-1, 1]]]])
    >>> convcli.conv2d(x, edges)[0, 0].tolist()
    [1.0, 1.0, 1.0]
    """
    samples, weights = arrays_of(x, weight)
    options: dict[str, Any] = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }
    # Checking takes 18 microseconds a call, and a network has the same layers for every image. Only
    # numbers and words are remembered, not pairs: True equals 1, and is refused.
    plain = all(type(each) in (int, str) for each in (*options.values(), border))
    layer_of = _remembered_layer if plain else convolution_layer
    layer = layer_of(samples.shape, weights.shape, samples.dtype, border=border, **options)
    return run_plan(plan_layer(layer, method, workers), samples, weights, bias_of(bias, layer))


_remembered_layer = lru_cache(maxsize=256)(convolution_layer)


def conv_transpose2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    workers: int | None = None,
) -> Floats:
    """Spread every sample over the maps, times the kernels: the transpose of `conv2d`.

    Parameters
    ----------
    x : array_like, (N, C_in, H, W) or (C_in, H, W)
        float32 or float64.
    weight : array_like, (C_in, C_out / groups, KH, KW)
        The kernels.
    bias : array_like, (C_out,), optional
        Added to each map.
    stride, dilation : int or (int, int), default 1
        Steps between the places of neighbouring samples, and between those of a kernel's weights.
    padding : int or (int, int), default 0
        Rows and columns that are cut off each side of the result.
    output_padding : int or (int, int), default 0
        Rows and columns more at the bottom and on the right; less than stride or dilation.
    groups : int, default 1
        As in `conv2d`.
    workers : int, optional
        Cores to use; default: every core that this process may use.

    Returns
    -------
    ndarray, (N, C_out, H', W') or (C_out, H', W')
        H' is ``(H - 1) * stride - 2 * padding + dilation * (KH - 1) + output_padding + 1``. Each
        phase of the stride is a convolution of its own, so no zeros are inserted or multiplied.

    Raises
    ------
    ConvcliError
        If the shapes do not fit; the message names them.

    Examples
    --------
    >>> import numpy as np
    >>> import convcli
    >>> x = np.array([[[1, 2]]], np.float32)
    >>> convcli.conv_transpose2d(x, np.ones((1, 1, 1, 2), np.float32), stride=2)[0, 0].tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    samples, weights = arrays_of(x, weight)
    layer = transposed_layer(
        samples.shape, weights.shape, samples.dtype, stride=stride, padding=padding,
        output_padding=output_padding, dilation=dilation, groups=groups,
    )  # fmt: skip
    return run_plan(plan_layer(layer, workers=workers), samples, weights, bias_of(bias, layer))


# Bytes of the maps between the two steps, which should stay in the second-level cache.
_BETWEEN = 1 << 19


def separable_conv2d(
    x: ArrayLike,
    depthwise: ArrayLike,
    pointwise: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    border: Border = "constant",
    workers: int | None = None,
) -> Floats:
    """Filter each channel on its own, then mix the channels: far fewer products than `conv2d`.

    Equal to `conv2d` with ``groups=C_in`` and then with 1x1 kernels, but what is between them is
    never stored: some rows at a time stay in the cache. With K x K kernels it takes
    ``K^2 C_out / (K^2 + C_out)`` times fewer products than a dense layer (Howard et al. 2017,
    MobileNets, arXiv:1704.04861).

    Parameters
    ----------
    x : array_like, (N, C_in, H, W) or (C_in, H, W)
        float32 or float64.
    depthwise : array_like, (C_in * D, 1, KH, KW)
        D kernels for each channel.
    pointwise : array_like, (C_out, C_in * D, 1, 1)
        How the maps in between are mixed.
    bias : array_like, (C_out,), optional
        Added to each map.
    stride, padding, dilation, border, workers
        As in `conv2d`; those of the first step.

    Returns
    -------
    ndarray, (N, C_out, H', W') or (C_out, H', W')
        Of the dtype of `x`.

    Raises
    ------
    ConvcliError
        If the shapes do not fit; the message names them.

    Examples
    --------
    >>> import numpy as np
    >>> import convcli
    >>> x = np.ones((2, 3, 3), np.float32)
    >>> box, mix = np.ones((2, 1, 3, 3), np.float32), np.ones((1, 2, 1, 1), np.float32)
    >>> convcli.separable_conv2d(x, box, mix).tolist()
    [[[18.0]]]
    """
    samples, kernels = arrays_of(x, depthwise)
    _, mixing = arrays_of(x, pointwise)
    channels = samples.shape[-3] if samples.ndim > 2 else 1
    first = convolution_layer(
        samples.shape, kernels.shape, samples.dtype, stride=stride, padding=padding,
        dilation=dilation, groups=channels, border=border,
    )  # fmt: skip
    second = convolution_layer(first.out_shape, mixing.shape, samples.dtype)
    if second.kernel != (1, 1):
        raise ConvcliError(
            f"pointwise must have kernels of 1 x 1, not of {mixing.shape[2]} x {mixing.shape[3]}"
        )
    biases = bias_of(bias, second)
    plan = plan_layer(first, workers=workers)
    images = samples.reshape(-1, *samples.shape[-3:])
    out = new_maps(second.out_shape, samples.dtype)
    height, width = first.out_size
    row = first.maps * width * samples.itemsize
    lines = max(1, min(_BETWEEN // row, ceil_div(height, plan.workers)))
    none = np.zeros(first.maps, samples.dtype)

    def fill(piece: tuple[int, int]) -> None:
        image, top = piece
        bottom = min(top + lines, height)
        window = strip_of(first, images[image], top, bottom)
        between = conv2d(
            window, kernels, none, stride=first.stride, dilation=first.dilation, groups=channels,
            workers=1,
        )  # fmt: skip
        out[image, :, top:bottom] = conv2d(between, mixing, biases, workers=1)

    pieces = [(n, top) for n in range(first.images) for top in range(0, height, lines)]
    share(fill, pieces, min(plan.workers, len(pieces)), _ignore)
    return out[0] if samples.ndim == 3 else out


def plan_conv2d(
    x_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    dtype: Any = "float32",
    *,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    method: BankMethod = "auto",
    workers: int | None = None,
) -> BankPlan:
    """Say which method `conv2d` would take, why, and how many products each method makes.

    Nothing is computed. The parameters are those of `conv2d`, with shapes instead of arrays.

    Examples
    --------
    >>> import convcli
    >>> plan = convcli.plan_conv2d((64, 56, 56), (64, 64, 3, 3), padding=1)
    >>> plan.layer.out_shape
    (1, 64, 56, 56)
    """
    layer = convolution_layer(
        tuple(x_shape), tuple(weight_shape), dtype_of(dtype), stride=stride, padding=padding,
        dilation=dilation, groups=groups,
    )  # fmt: skip
    return plan_layer(layer, method, workers)


def _ignore(_done: int, _total: int) -> None:
    """Take progress that no caller asked for."""


def run_plan(
    plan: BankPlan,
    samples: Floats,
    weights: Floats,
    bias: Floats | None = None,
    on_done: OnProgress = _ignore,
) -> Floats:
    """Carry a plan out; the arrays are C-contiguous and have the shapes and dtype of its layer."""
    layer = plan.layer
    if plan.missed:
        machine_code.miss("bank", layer.dtype.name, plan.missed)
    out = new_maps(layer.out_shape, samples.dtype)
    images = samples.reshape(-1, *samples.shape[-3:])
    biases = np.zeros(layer.maps, layer.dtype) if bias is None else bias
    work = load(plan.method)(layer, images, weights, biases, out, plan.workers)
    share(work.fill, work.pieces, min(plan.workers, len(work.pieces)), on_done)
    return out[0] if samples.ndim == 3 else out
