"""What every filter comes down to: check the image, flip the kernel once, plan, execute."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Unpack, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from convcli.checks import array as array_of
from convcli.checks import callback, count, described, flag, number, word
from convcli.errors import ConvcliError, NeedsWholeError
from convcli.filtering.definitions import convolving, kernel_of
from convcli.filtering.filter import Filter
from convcli.filtering.options import DEFAULTS, Options, means_part, names_channels
from convcli.filtering.rounding import (
    flat_bytes,
    flat_of_all,
    roundings,
    whole_of,
    within_range,
)
from convcli.kernels.folding import folded
from convcli.kernels.kernel import Kernel
from convcli.kernels.sizes import sizes_of
from convcli.pixels import borders
from convcli.pixels.borders import Halo, is_foreign
from convcli.pixels.colour import Colour, colour_for, full_scale, is_opaque
from convcli.pixels.missing import sample_of
from convcli.pixels.padded import Padded
from convcli.pixels.source import ArraySource, Source
from convcli.pixels.transfer import Transfer, has_inverse
from convcli.planning.choice import plan_for
from convcli.planning.methods import check_method, worker_count
from convcli.planning.plan import Plan, Task
from convcli.running.execute import can_stay_padded, filter_padded, filter_source
from convcli.running.packages import broken, ready_plan
from convcli.running.recipe import Missing, Recipe, halo_of
from convcli.types import OnRows, Pixels
from convcli.words import ALPHAS, NANS, Border, Method, counted, listed

_DTYPES = ("uint8", "uint16", "float32", "float64")


def convolve(
    image: ArrayLike,
    kernel: ArrayLike | Kernel | str,
    *,
    correlate: bool = False,
    bias: float = 0.0,
    **options: Unpack[Options],
) -> Pixels:
    """Convolve an image with a kernel.

    ``out[y, x]`` is the sum of ``kernel[i, j] * image[y + ny - i, x + nx - j]`` over all i and j,
    with n = length // 2 on each axis, for even lengths too; `correlate` leaves the kernel
    unflipped: ``image[y - ny + i, x - nx + j]``.

    Parameters
    ----------
    image : array_like, (H, W) or (H, W, C)
        uint8, uint16, float32 or float64. All channels are convolved alike, unless the option
        `alpha` makes the last one an alpha. More than 4 need the option `channels`. Masked arrays
        are refused.
    kernel : array_like (kh, kw), Kernel or str
        Any size; it may be larger than the image. A text is one that `convcli.kernel` takes, such
        as "disc:6".
    correlate : bool
        Do not flip the kernel.
    bias : float
        Added to every sum, in the image's units; not to an alpha.
    **options
        See `convcli.filtering.options.Options`: border, border_value, method, workers, alpha,
        linear, exact, out_dtype, region, mask, channels, nan, nodata, pictures, scratch,
        on_progress, on_plan, on_rows, carry_out.

    Returns
    -------
    ndarray
        The image's shape and dtype (or `out_dtype`); integers rounded once, half to even,
        and clipped once.

    Raises
    ------
    ConvcliError
        For an image, kernel or option that is not valid.

    Examples
    --------
    >>> import numpy as np
    >>> import convcli
    >>> image = np.array([[0, 0, 255, 255, 255]], dtype=np.uint8)
    >>> convcli.convolve(image, [[0.5, 0, 0.5]])
    array([[  0, 128, 128, 255, 255]], dtype=uint8)
    >>> convcli.convolve(image, [[1, 0, -1]], out_dtype="float32")
    array([[  0., 255., 255.,   0.,   0.]], dtype=float32)
    >>> convcli.convolve(image, "box:3,1")
    array([[  0,  85, 170, 255, 255]], dtype=uint8)
    """
    return apply(image, convolving(kernel, correlate=correlate, bias=bias), **options)


def apply(image: ArrayLike, filter_: Filter, **options: Unpack[Options]) -> Pixels:
    """Filter an image; image, options and result are those of `convolve`.

    Returns
    -------
    ndarray
        A filter of the luminance returns ``(H, W)``, or ``(H, W, 2)`` with an alpha that is kept.
        Under the option `scratch` a `Padded` image may give a `Padded` result.

    Raises
    ------
    ConvcliError
        For an image or option that is not valid.
    TypeError
        For an unknown option.
    """
    asked = checked(options)
    asked["exact"] = asked["exact"] or filter_.exact
    tell, asked["on_rows"] = asked["on_rows"], None  # of no piece or step of it
    source = source_of(image, bool(asked["channels"]))
    wanted = out_dtype(asked["out_dtype"], source.dtype)
    if asked["carry_out"]:
        check_in_parts(filter_)
    if means_part(asked):
        from convcli.filtering import part

        several = [(filter_, asked["border"], asked["border_value"])]
        made = part.filtered(partial(apply, filter_=filter_), source, several, wanted, asked)
        return made[..., 0] if np.ndim(image) == 2 else made
    if filter_.thresholds:
        from convcli.filtering.canny import thin_edges  # other filters start without it

        return thin_edges(partial(apply, image), filter_, source, wanted, **asked)
    recipe = _recipe(source, filter_, asked)
    plan = ready_plan(
        recipe.task(
            source.shape,
            source.dtype,
            asked["method"],
            asked["workers"],
            asked["pictures"],
            getattr(source, "whole", None),
        )
    )
    if asked["on_plan"]:
        asked["on_plan"](plan)
    goes_on = filter_.stride > 1 or filter_.finish
    as_it_is = asked["scratch"] and not goes_on and can_stay_padded(plan, recipe)
    if isinstance(source, Padded) and as_it_is:
        # For the caller that handed one in and asked for `scratch`; public functions take arrays.
        return cast(Pixels, filter_padded(plan, recipe, source, asked["on_progress"]))
    if asked["carry_out"]:
        made = asked["carry_out"](plan, recipe, source)
        return cast(Pixels, made.thinned(filter_.stride) if filter_.stride > 1 else made)

    def flat(out: Pixels) -> Pixels:
        is_grey = filter_.use.channels == "luminance" and out.shape[2] == 1
        return out[..., 0] if is_grey or np.ndim(image) == 2 else out

    on_rows: OnRows | None = None
    if tell and not goes_on:
        on_rows = lambda out, count: tell(flat(out), count)  # noqa: E731
    out = filter_source(plan, recipe, source, asked["on_progress"], on_rows)
    out = out[:: filter_.stride, :: filter_.stride]
    if filter_.finish:
        levels = flat_of_all(source, filter_, asked)
        out = filter_.finish(whole_of(out, wanted, levels, source, asked))
    return flat(out)


def check_in_parts(filter_: Filter) -> None:
    """Refuse a filter whose result depends on the whole image."""
    if filter_.needs_all:
        does = "--stretch" if filter_.finish else "--canny"
        raise NeedsWholeError(f"{does} needs the whole image, and cannot be done in parts")


def checked(options: Options) -> Options:
    """Check the options that need no image, so that nothing is done if one is not valid."""
    if unknown := set(options) - set(DEFAULTS):
        raise TypeError(f"unknown option {min(unknown)!r}; the options are {', '.join(DEFAULTS)}")
    asked = Options(**{**DEFAULTS, **options})
    borders.check(asked["border"])
    asked["border_value"] = borders.checked_value(asked["border_value"])
    check_method(asked["method"], broken())
    word(asked["alpha"], "alpha", ALPHAS)
    worker_count(asked["workers"])
    count(asked["pictures"], "pictures")
    if isinstance(asked["linear"], Transfer):
        if not has_inverse(asked["linear"]):
            raise ConvcliError("linear is a transfer function that has no inverse")
    else:
        asked["linear"] = flag(asked["linear"], "linear")
    asked["exact"] = flag(asked["exact"], "exact")
    if names_channels(asked["channels"]):
        from convcli.pixels.part import checked_channels

        asked["channels"] = checked_channels(asked["channels"])
    else:
        asked["channels"] = flag(asked["channels"], "channels")
    asked["scratch"] = flag(asked["scratch"], "scratch")
    asked["nodata"] = nodata_of(asked)
    callback(asked["on_progress"], "on_progress")
    callback(asked["on_plan"], "on_plan")
    callback(asked["on_rows"], "on_rows")
    callback(asked["carry_out"], "carry_out")
    return asked


def nodata_of(asked: Options) -> float | None:
    """Return the no-data value that was asked for, if it goes with the option `nan`."""
    nan, value = asked.get("nan"), asked.get("nodata")
    if nan is not None:
        word(nan, "nan", NANS)
    if value is not None and nan == "keep":
        raise ConvcliError(
            "nan='keep' and nodata cannot be used together: nodata says which samples are left "
            "out, and 'keep' leaves none out; pass one of them"
        )
    return None if value is None else number(value, "nodata")


def missing_sample(source: Source, asked: Options) -> float | None:
    """Return the no-data value of a filter that leaves samples out (NaN: none), if it does."""
    if asked["nodata"] is None and asked["nan"] != "skip":
        return None
    sample = sample_of(asked["nodata"], source.dtype)
    # Integers have no NaN.
    return None if source.dtype.kind == "u" and math.isnan(sample) else sample


def _recipe(source: Source, filter_: Filter, asked: Options) -> Recipe:
    """Turn a filter, and what its caller asked for, into what is done to this image."""
    border, value = asked["border"], asked["border_value"]
    dtype = out_dtype(asked["out_dtype"], source.dtype)
    is_bytes = source.dtype == np.uint8
    colour = _colour(source, filter_, asked)
    if not filter_.use.gives_light and dtype.kind == "u":
        colour = replace(colour, turn=full_scale(dtype))
    # A stretch of bytes has one limit for the whole result.
    settles = filter_.settles and not (is_bytes and filter_.finish)
    exact = asked["exact"] or (not is_bytes and (settles or filter_.finish is not None))
    flat = flat_bytes(filter_) if is_bytes else roundings(filter_)
    if filter_.finish:
        dtype = np.dtype(np.float32 if is_bytes else np.float64)
    bytes_alone = {source.dtype, dtype} == {np.dtype(np.uint8)}
    plain = colour.is_plain and not exact and not is_foreign(source.dtype, border, value)
    check_channels(filter_, source.shape[2], asked)
    sample = missing_sample(source, asked)
    plain = plain and sample is None
    decimations = filter_.decimations if bytes_alone and plain else None
    kernels, halo = laid(filter_, None if decimations else source.shape[:2], border)
    if exact:
        kernels = tuple(kernel.exactly for kernel in kernels)
    return Recipe(
        kernels=kernels,
        halo=halo,
        border=border,
        border_value=value,
        colour=colour,
        combine=within_range(filter_, source, asked).combine,
        out_dtype=dtype,
        exact=exact,
        decimations=decimations,
        flat=flat if settles else 0.0,
        local=filter_.local or (settles and not is_bytes),
        missing=None
        if sample is None
        else left_out(
            filter_, source.shape[:2], border, exact, sample, sample if filter_.marks else math.nan
        ),
    )


def check_channels(filter_: Filter, channels: int, asked: Options) -> None:
    """Refuse an image that has not the channels which a filter takes."""
    colours = channels - (channels in (2, 4) and asked["alpha"] != "straight")
    if filter_.channels > 1 and filter_.channels != colours:
        raise ConvcliError(
            f"the bank takes {filter_.channels} channels, but it gets {colours}; use one of "
            f"{counted(colours, 'channel')}"
        )


def laid(
    filter_: Filter, size: tuple[int, int] | None, border: Border
) -> tuple[tuple[Kernel, ...], Halo]:
    """Return kernels for a correlation and their halo, folded for an image of this size."""
    flips = not filter_.correlate
    kernels = tuple(kernel.flipped if flips else kernel for kernel in filter_.kernels)
    halo = halo_of(kernels[0].shape, filter_.correlate)
    return folded(kernels, halo, size, border) if size else (kernels, halo)


def left_out(
    filter_: Filter,
    size: tuple[int, int],
    border: Border,
    exact: bool,
    sample: float = math.nan,
    mark: float = math.nan,
) -> Missing:
    """Say which samples are left out, and how large the weights of what remains are."""
    kernels, halo = laid(filter_, None, border)
    sizes = [sizes_of(kernel) for kernel in kernels]
    for at, each in enumerate(sizes):
        if each:
            (each,), _ = folded((each,), halo, size, border)
            sizes[at] = each.exactly if exact else each
    return Missing(tuple(sizes), sample, mark)


def plan(
    shape: Sequence[int],
    dtype: DTypeLike,
    kernel: ArrayLike | Kernel | str,
    method: Method = "auto",
    workers: int | None = None,
    channels: bool = False,
) -> Plan:
    """Return what `convolve` would run for an image of this shape and dtype, and why.

    Parameters
    ----------
    shape : (H, W) or (H, W, C)
        Size of the image in pixels.
    dtype : {"uint8", "uint16", "float32", "float64"}
        Its samples.
    kernel : array_like (kh, kw), Kernel or str
        What it would be convolved with.
    method : {"auto", "numpy", "numba", "fft", "tiled"}
        How it would be computed; "auto" takes the method that is predicted to be fastest.
    workers : int, optional
        Cores to use. Default: every core that this process may use.
    channels : bool
        The last of three axes holds channels, also if there are more than 4.

    Returns
    -------
    Plan
        Printing it shows the method, the loop, the form, the strips, the predicted time and
        the times that are predicted for the other methods.

    Raises
    ------
    ConvcliError
        For a shape, dtype, kernel, method or number of workers that is not valid, or a method
        whose package is not installed.

    Examples
    --------
    >>> import convcli
    >>> plan = convcli.plan((4000, 6000), "uint8", convcli.gaussian_kernel(3.0), method="numpy")
    >>> print(plan.method, plan.route.form)
    numpy separable
    """
    try:
        shape = tuple(map(operator.index, shape))
    except Exception:  # an iterator may raise what it likes
        raise ConvcliError(f"shape is {described(shape)}; it must be whole numbers") from None
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ConvcliError(
            f"shape is {described(shape)}; it must be (H, W) or (H, W, C), and not empty"
        )
    if math.prod(shape) > sys.maxsize:
        raise ConvcliError(f"shape is {described(shape)}; that is too large for any memory")
    _check_channels("shape is", shape, flag(channels, "channels"))
    samples = _dtype_of(dtype, "dtype")
    whole = kernel_of(kernel).flipped
    kernels, _ = folded((whole,), halo_of(whole.shape, False), (shape[0], shape[1]), "reflect")
    return plan_for(Task(shape, samples, kernels, method, workers, without=broken()))


def _checked_source(source: Source) -> Source:
    """Refuse a source that is not of the kind that `convcli.pixels.source` describes."""
    shape, dtype = getattr(source, "shape", None), getattr(source, "dtype", None)
    is_whole = isinstance(shape, tuple) and len(shape) == 3 and min(shape) > 0
    if not is_whole or getattr(dtype, "name", None) not in _DTYPES:
        raise ConvcliError(
            "image answers windows, but is not of shape (H, W, C) with samples of "
            f"{listed(_DTYPES)}; pass it as an array"
        )
    return source


# Grey, colour, each with an alpha, and CMYK.
_MOST_CHANNELS = 4


def source_of(image: ArrayLike | Source, any_channels: bool) -> Source:
    """Check an image, and let it answer windows."""
    if callable(getattr(image, "window", None)) and not isinstance(image, np.ndarray):
        return _checked_source(cast(Source, image))
    array = array_of(image, "image")
    if array.dtype.name not in _DTYPES:
        raise ConvcliError(f"image has dtype {array.dtype}; it must be {listed(_DTYPES)}")
    if array.ndim not in (2, 3) or array.size == 0:
        raise ConvcliError(
            f"image has shape {array.shape}; it must be (H, W) or (H, W, C), and not empty"
        )
    _check_channels("image has shape", array.shape, any_channels)
    native = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    return ArraySource(native if array.ndim == 3 else native[..., np.newaxis])


def _check_channels(subject: str, shape: tuple[int, ...], any_number: bool) -> None:
    if len(shape) == 3 and shape[2] > _MOST_CHANNELS and not any_number:
        raise ConvcliError(
            f"{subject} {shape}, which may be a volume: filter its slices one by one; if the last "
            f"axis holds {shape[2]} channels, pass channels=True"
        )


def out_dtype(wanted: Any, given: np.dtype[Any]) -> np.dtype[Any]:
    """Check `out_dtype`; without one the result has the dtype that was given."""
    return _dtype_of(given if wanted is None else wanted, "out_dtype")


def _dtype_of(wanted: Any, name: str) -> np.dtype[Any]:
    try:
        if wanted is None:  # numpy takes float64 for it
            raise TypeError
        dtype: np.dtype[Any] = np.dtype(wanted).newbyteorder("=")
    except Exception:  # numpy raises errors of several types, and warnings
        raise ConvcliError(f"{name} is {described(wanted)}; it must be {listed(_DTYPES)}") from None
    if dtype.name not in _DTYPES:
        raise ConvcliError(f"{name} is {dtype.name}; it must be {listed(_DTYPES)}")
    return dtype


def _colour(source: Source, filter_: Filter, asked: Options) -> Colour:
    """Choose what is done to colour; an alpha that is full everywhere needs no weighting."""
    total = filter_.total
    image = source.shape[2], source.dtype
    colour = colour_for(filter_.use, image, asked["alpha"], asked["linear"], total)
    # Inside an opaque image every weight is 1, and beyond its edge too, unless a constant stands
    # there; and a sum of 1 leaves alpha as it is.
    stays = abs(total - 1) <= 1e-9 or colour.keep_alpha or colour.grey
    if colour.weight and stays and asked["border"] != "constant" and is_opaque(source):
        return replace(colour, weight=False)
    return colour
