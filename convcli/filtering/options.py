"""The keyword options that every verb takes, and what holds for those that are not given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

from convcli.planning.plan import Plan
from convcli.types import OnProgress
from convcli.words import Alpha, Border, Method


class Options(TypedDict, total=False):
    """Keyword options that every verb of the Python interface takes.

    Attributes
    ----------
    border : {"reflect", "mirror", "nearest", "wrap", "constant"}
        What lies beyond the picture's edge, in scipy.ndimage's words. Default "reflect".
    border_value : float
        The value beyond the edge under ``border="constant"``, in the picture's units. Default 0.
    method : {"auto", "numpy", "numba", "fft", "tiled"}
        Who convolves. Default "auto": whatever is predicted to be fastest.
    workers : int, optional
        Cores to use. Default: every core that this process may use.
    alpha : {"straight", "weight", "keep"}
        What the last channel of an ``(H, W, 2)`` or ``(H, W, 4)`` image is. Default
        "straight": a channel like any other. "weight": an alpha, by which colours are
        weighted. "keep": an alpha, left as it is.
    linear : bool
        Filter light instead of sRGB code values: integers are decoded by IEC 61966-2-1,
        filtered, encoded again. Floats are taken to lie in 0 to 1. Default False.
    exact : bool
        Sum in float64 whatever the dtype. Default False: float32 serves 8-bit and
        float32 images, float64 the others.
    out_dtype : str or numpy.dtype, optional
        dtype of the result. Default: the image's. "float32" keeps sign and range.
    pictures : int
        How many pictures will share the start-up of a method; "auto" spreads its cost.
    scratch : bool
        The image is not needed afterwards. If it is a view ``buffer[..., :3]`` of four samples
        a pixel (as Pillow keeps RGB), the result may be one too, and rows of an mmap are given
        back to the system as soon as they are done with. Default False: the image stays as it
        is, and results are contiguous.
    on_progress : callable, optional
        Called as ``on_progress(done, total)`` while the work goes on.
    on_plan : callable, optional
        Called once with the `Plan` before any pixel is touched.
    """

    border: Border
    border_value: float
    method: Method
    workers: int | None
    alpha: Alpha
    linear: bool
    exact: bool
    out_dtype: Any
    pictures: int
    scratch: bool
    on_progress: OnProgress | None
    on_plan: Callable[[Plan], None] | None


DEFAULTS: Options = {
    "border": "reflect",
    "border_value": 0.0,
    "method": "auto",
    "workers": None,
    "alpha": "straight",
    "linear": False,
    "exact": False,
    "out_dtype": None,
    "pictures": 1,
    "scratch": False,
    "on_progress": None,
    "on_plan": None,
}
"""What holds for an option that is not given."""
