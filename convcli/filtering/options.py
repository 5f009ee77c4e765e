"""The keyword options that every filter takes from Python, and their defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import Any, TypedDict

from convcli.pixels.transfer import Transfer
from convcli.types import OnProgress, OnRows
from convcli.words import Alpha, Border, Method, Nan


class Options(TypedDict, total=False):
    """Keyword options that every filter takes.

    Attributes
    ----------
    border : {"reflect", "mirror", "nearest", "wrap", "constant"}
        What lies beyond the image's edge, in scipy.ndimage's words. Default "reflect".
    border_value : float
        The value beyond the edge under ``border="constant"``, in the image's units. Default 0.
    method : {"auto", "numpy", "numba", "fft", "tiled"}
        How to compute it; every method gives the same image. Default "auto": the one that is
        predicted to be fastest.
    workers : int, optional
        Cores to use. Default: every core that this process may use.
    alpha : {"straight", "weight", "keep"}
        What the last channel of an ``(H, W, 2)`` or ``(H, W, 4)`` image is. Default
        "straight": a channel like any other. "weight": an alpha, by which colours are
        weighted. "keep": an alpha that stays as it is.
    linear : bool or Transfer
        Filter light instead of sRGB code values: integers are decoded by IEC 61966-2-1,
        filtered, and encoded again. Floats are taken to lie in 0 to 1. A
        `convcli.pixels.transfer.Transfer` takes the place of sRGB. Default False.
    exact : bool
        Sum in float64 whatever the dtype, and take weights as they are. Default False: 8-bit and
        float32 images are summed in float32, the others in float64.
    out_dtype : str or numpy.dtype, optional
        dtype of the result. Default: the image's. "float32" keeps sign and range.
    region : str or sequence of str, optional
        Filter only this rectangle of the image, or these: "WxH+X+Y", in pixels from the top left
        corner. What a kernel needs is read from outside; every other pixel keeps its value.
        Default: the whole image.
    mask : array_like (H, W), optional
        How much of the filtered image each pixel gets: bool, uint8 or uint16, of which the largest
        is white, or floats from 0 to 1. White is filtered, black is kept, and grey is mixed, in
        floats, before the one rounding. With a region it counts inside that.
    channels : bool, str or sequence of int
        Which channels are filtered; the others keep their values. Names, "r,g", or numbers from 0
        on, [0, 1]; "luma" is the luminance (BT.601) alone, so that the differences between colours
        stay. True: all, also if there are more than 4. Default False: all, but an array of more
        than 4 is refused, because it may be a volume.
    nan : {"keep", "skip"}, optional
        What NaN does: "keep" lets it spread to every result whose kernel takes it in, as IEEE 754
        says; "skip" leaves it out of every sum, which is divided by the weights that remain
        (`convcli.running.normalised`). Default: "skip" with `nodata`, else "keep".
    nodata : float, optional
        A value that stands for missing samples, such as -9999: it is left out as NaN is, but not
        of an alpha. What stays missing has it in the result.
    pictures : int
        How many images will share the start-up of a method; "auto" spreads its cost over them.
    scratch : bool
        The image is not needed afterwards. The samples of a `Padded` image (RGB as Pillow keeps
        it) may then be lost, and its result may be `Padded`, too. Of an image that is filtered in
        part, the result may be the image itself, changed. Default False.
    on_progress : callable, optional
        Called as ``on_progress(done, total)`` while the work goes on.
    on_plan : callable, optional
        Called once with the `Plan` before any pixel is touched. (A chain calls it with a
        `ChainPlan`, and a bank of kernels with a `BankPlan` for each layer.)
    on_rows : callable, optional
        Called as ``on_rows(result, count)`` while one filter of a whole image is at work: with its
        result, of which the first `count` rows are final. It may never be called.
    carry_out : callable, optional
        ``carry_out(plan, recipe, source)`` is called to carry out the plan, and a
        `convcli.sources.contract.Result` that it returns is returned. (A chain calls it with a
        `ChainPlan` and a `Chain`.)
    """

    border: Border
    border_value: float
    method: Method
    workers: int | None
    alpha: Alpha
    linear: bool | Transfer
    exact: bool
    out_dtype: Any
    region: str | Sequence[str] | None
    mask: Any
    channels: bool | str | Sequence[int]
    nan: Nan | None
    nodata: float | None
    pictures: int
    scratch: bool
    on_progress: OnProgress | None
    on_plan: Callable[[Any], None] | None
    on_rows: OnRows | None
    carry_out: Callable[..., Any] | None


DEFAULTS: Options = {
    "border": "reflect",
    "border_value": 0.0,
    "method": "auto",
    "workers": None,
    "alpha": "straight",
    "linear": False,
    "exact": False,
    "out_dtype": None,
    "region": None,
    "mask": None,
    "channels": False,
    "nan": None,
    "nodata": None,
    "pictures": 1,
    "scratch": False,
    "on_progress": None,
    "on_plan": None,
    "on_rows": None,
    "carry_out": None,
}
"""The values of options that are not given."""


def names_channels(channels: Any) -> bool:
    """Whether an option `channels` names some of them."""
    return isinstance(channels, Sized) and getattr(channels, "ndim", 1) == 1


def means_part(options: Options) -> bool:
    """Whether only a part of an image is to be filtered."""
    chosen = names_channels(options.get("channels"))
    return chosen or options.get("region") is not None or options.get("mask") is not None
