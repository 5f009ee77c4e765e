"""The filters as functions of dask arrays, which compute nothing yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from numpy.typing import ArrayLike

from convcli.dask.graphs import lazy
from convcli.errors import ConvcliError
from convcli.filtering.definitions import blurring, convolving, edges, sharpening
from convcli.filtering.options import Options
from convcli.kernels.kernel import Kernel
from convcli.words import Operator, Show

if TYPE_CHECKING:
    from dask.array import Array


def blur(
    array: Array,
    sigma: float | tuple[float, float] = 3.0,
    *,
    truncate: float | None = None,
    radius: int | None = None,
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Array:
    """Blur a dask array with a Gaussian, as `convcli.blur` does.

    Parameters
    ----------
    array : dask.array.Array
        The last two axes, apart from the channel axis, are y and x. Those before them are looped
        over: ``(z, y, x)`` is a stack of planes, each an image of its own.
    sigma, truncate, radius
        See `convcli.blur`.
    channel_axis : int, optional
        The axis of the channels. Default: there is none.
    **options
        border, border_value, method, alpha, linear, exact, out_dtype, nan, nodata and on_plan of
        `convcli.filtering.options.Options`.

    Returns
    -------
    dask.array.Array
        The array's shape, chunks and dtype (or `out_dtype`). Where all samples are finite, numpy
        and fft give the result of the whole array to the bit. Compiled loops (numba), which add
        the ends of rows in another order, and a luminance of float32 equal it but for rounding.

    Raises
    ------
    ConvcliError
        If a parameter or the array is not valid.

    Examples
    --------
    >>> import numpy as np
    >>> import dask.array as da
    >>> import convcli
    >>> row = da.from_array(np.array([[0, 0, 0, 255, 0, 0]], np.uint8), chunks=(1, 2))
    >>> convcli.dask.blur(row, sigma=0.5).compute()
    array([[  0,   0,  27, 201,  27,   0]], dtype=uint8)
    """
    filter_ = blurring(sigma, truncate=truncate, radius=radius)
    return lazy("blur", array, filter_, channel_axis, options)


def edge(
    array: Array,
    operator: Operator | None = None,
    show: Show = "magnitude",
    *,
    sigma: float | None = None,
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Array:
    """Detect edges in a dask array, as `convcli.edge` does, but for `stretch` and `canny`.

    These two need the whole image.

    Parameters
    ----------
    array, channel_axis, **options
        See `blur`.
    operator, show, sigma
        See `convcli.edge`.

    Returns
    -------
    dask.array.Array
        The array's dtype. Of colour the luminance is filtered: the channel axis is gone, or has
        two channels under ``alpha="keep"``.

    Raises
    ------
    ConvcliError
        If a parameter or the array is not valid.

    Examples
    --------
    >>> import numpy as np
    >>> import dask.array as da
    >>> import convcli
    >>> step = np.repeat(np.array([[0, 0, 0, 200, 200, 200]], np.uint8), 3, axis=0)
    >>> convcli.dask.edge(da.from_array(step, chunks=2))[1].compute()
    array([  0,   0, 200, 200,   0,   0], dtype=uint8)
    """
    for word in ("canny", "stretch"):
        if word in options:
            raise ConvcliError(
                f"{word} needs the whole image, and a dask array is filtered chunk by chunk; pass "
                "array.compute() to convcli.edge"
            )
    filter_ = edges(operator, show, sigma=sigma)
    return lazy("edge", array, filter_, channel_axis, options)


def sharpen(
    array: Array,
    sigma: float | tuple[float, float] = 1.0,
    amount: float = 1.0,
    threshold: float = 0.0,
    *,
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Array:
    """Sharpen a dask array by an unsharp mask, as `convcli.sharpen` does.

    Parameters
    ----------
    array, channel_axis, **options
        See `blur`.
    sigma, amount, threshold
        See `convcli.sharpen`.

    Returns
    -------
    dask.array.Array
        The array's shape, chunks and dtype.

    Raises
    ------
    ConvcliError
        If a parameter or the array is not valid.

    Examples
    --------
    >>> import numpy as np
    >>> import dask.array as da
    >>> import convcli
    >>> step = da.from_array(np.array([[100, 100, 100, 150, 150, 150]], np.uint8), chunks=(1, 3))
    >>> convcli.dask.sharpen(step, sigma=0.5).compute()
    array([[100, 100,  95, 155, 150, 150]], dtype=uint8)
    """
    return lazy("sharpen", array, sharpening(sigma, amount, threshold), channel_axis, options)


def convolve(
    array: Array,
    kernel: ArrayLike | Kernel,
    *,
    correlate: bool = False,
    bias: float = 0.0,
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Array:
    """Convolve a dask array with a kernel, as `convcli.convolve` does.

    Parameters
    ----------
    array, channel_axis, **options
        See `blur`.
    kernel, correlate, bias
        See `convcli.convolve`. The kernel may be larger than a chunk.

    Returns
    -------
    dask.array.Array
        The array's shape, chunks and dtype.

    Raises
    ------
    ConvcliError
        If a parameter or the array is not valid.

    Examples
    --------
    >>> import numpy as np
    >>> import dask.array as da
    >>> import convcli
    >>> row = da.from_array(np.array([[0, 0, 255, 255, 255]], np.uint8), chunks=(1, 2))
    >>> convcli.dask.convolve(row, [[0.5, 0, 0.5]]).compute()
    array([[  0, 128, 128, 255, 255]], dtype=uint8)
    """
    filter_ = convolving(kernel, correlate=correlate, bias=bias)
    return lazy("convolve", array, filter_, channel_axis, options)
