"""The named kernels: edge operators, means, and other common ones, and the table of names."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from convcli.checks import count, number, positive, word
from convcli.errors import ConvcliError
from convcli.kernels.derivatives import derivative_kernel, dog_kernel, log_kernel
from convcli.kernels.gabor import gabor_kernel
from convcli.kernels.gaussian import gaussian_kernel
from convcli.kernels.kernel import LONGEST_SIDE, Kernel, Weights, kernel_from
from convcli.words import OPERATORS, Operator

# The factors of the 3 x 3 edge operators: a derivative, and smoothing across it. Each smoothing
# vector sums to 1, so a step gives its height. Sources: Sobel and Feldman 1968; Prewitt 1970;
# Scharr 2000 (the 3 10 3 approximation).
_DERIVATIVE = np.array([1.0, 0.0, -1.0])
_SMOOTHING: dict[Operator, Weights] = {
    "sobel": np.array([1.0, 2.0, 1.0]) / 4,
    "scharr": np.array([3.0, 10.0, 3.0]) / 16,
    "prewitt": np.array([1.0, 1.0, 1.0]) / 3,
}


def edge_kernels(operator: Operator = "sobel") -> tuple[Kernel, Kernel]:
    """Return the kernels of the derivatives along x and along y, in this order.

    They are made for convolution, which flips them: brightness that increases to the right or
    downwards gives a positive result. A step of height h gives h.
    """
    word(operator, "operator", OPERATORS)
    smooth = _SMOOTHING[operator]
    along_x = Kernel(operator, (3, 3), given_factors=((smooth, _DERIVATIVE),))
    along_y = Kernel(f"{operator}-y", (3, 3), given_factors=((_DERIVATIVE, smooth),))
    return along_x, along_y


def sobel_kernels() -> tuple[Kernel, Kernel]:
    """Return Sobel's kernels for the derivatives along x and along y.

    Returns
    -------
    (Kernel, Kernel)
        3 x 3 weights each, whole numbers over 4, so a step of height h gives h. Convolution
        flips them: brightness that increases to the right or downwards gives a positive result.

    Examples
    --------
    >>> along_x, along_y = sobel_kernels()
    >>> along_x.weights
    array([[ 0.25,  0.  , -0.25],
           [ 0.5 ,  0.  , -0.5 ],
           [ 0.25,  0.  , -0.25]])
    """
    return edge_kernels("sobel")


def laplacian_kernel() -> Kernel:
    """Return the sum of the second differences along x and y: ``0 1 0; 1 -4 1; 0 1 0``."""
    return kernel_from([[0, 1, 0], [1, -4, 1], [0, 1, 0]], "laplacian")


def box_kernel(width: float = 3, height: float | None = None) -> Kernel:
    """Return the mean over ``width`` x ``height`` pixels; the default height is the width."""
    columns = count(width, "box width")
    rows = columns if height is None else count(height, "box height")
    if max(rows, columns) > LONGEST_SIDE:
        raise ConvcliError(f"box width and height must be at most {LONGEST_SIDE} pixels")
    column, row = np.full(rows, 1.0 / rows), np.full(columns, 1.0 / columns)
    return Kernel("box", (rows, columns), given_factors=((column, row),))


def emboss_kernel() -> Kernel:
    """Return a relief that is lit from the upper left: ``2 1 0; 1 1 -1; 0 -1 -2``.

    The weights sum to 1. Convolution flips them: pixels that are brighter than their upper left
    neighbours become brighter still.
    """
    return kernel_from([[2, 1, 0], [1, 1, -1], [0, -1, -2]], "emboss")


# The longest side of a kernel without factors: 4001 x 4001 weights are just below the limit of
# 2**24 (see `convcli.kernels.kernel`).
_WIDEST = 4000


def disc_kernel(radius: float = 3.0) -> Kernel:
    """Return the mean over a disc of `radius` pixels: the blur of a lens out of focus.

    Across the edge of the disc the weights fall from 1 to 0 over one pixel: each is ``radius +
    0.5 - distance``, clipped to 0 .. 1, before they are divided by their sum.
    """
    radius = positive(radius, "disc radius")
    if 2 * radius > _WIDEST:
        raise ConvcliError(f"disc radius must be at most {_WIDEST // 2} pixels, not {radius:g}")
    half = math.ceil(radius - 0.5)
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    weights = np.clip(radius + 0.5 - np.hypot(x, y), 0.0, 1.0)
    return kernel_from(weights / weights.sum(), "disc")


def motion_kernel(length: float = 9.0, angle: float = 0.0) -> Kernel:
    """Return the mean along a line: `length` pixels at `angle` degrees.

    The angle counts counter-clockwise from the right. The weights fall from 1 to 0 over one
    pixel of distance from the line, so lines at any angle are smooth; at 0 and 90 degrees an odd
    length gives exactly that many equal weights.
    """
    length = positive(length, "motion length")
    angle = number(angle, "motion angle")
    if not math.isfinite(angle):
        raise ConvcliError(f"motion angle must be a finite number of degrees, not {angle:g}")
    if length > _WIDEST:
        raise ConvcliError(f"motion length must be at most {_WIDEST} pixels, not {length:g}")
    reach = max(length - 1.0, 0.0) / 2
    turn = math.radians(angle)
    along_x, along_y = math.cos(turn), -math.sin(turn)  # rows count downwards
    half_x = math.ceil(reach * abs(along_x) - 1e-9)
    half_y = math.ceil(reach * abs(along_y) - 1e-9)
    y, x = np.mgrid[-half_y : half_y + 1, -half_x : half_x + 1]
    nearest = np.clip(x * along_x + y * along_y, -reach, reach)
    distance = np.hypot(x - nearest * along_x, y - nearest * along_y)
    # Sines of right angles are off by 1e-16, which would make equal weights differ.
    weights = np.round(np.clip(1.0 - distance, 0.0, 1.0), 12)
    return kernel_from(weights / weights.sum(), "motion")


def identity_kernel() -> Kernel:
    """Return the single weight 1, which leaves every image unchanged."""
    return kernel_from([[1]], "identity")


class Named(NamedTuple):
    """A row of the table of names: the function, the most numbers it takes, usage, and meaning."""

    make: Callable[..., Kernel]
    most_numbers: int
    usage: str
    text: str


NAMED: dict[str, Named] = {
    "gaussian": Named(
        lambda x=1.0, y=None: gaussian_kernel(x if y is None else (x, y)),
        2,
        "gaussian:SIGMA or gaussian:X,Y",
        "Gaussian",
    ),
    **{
        f"gaussian-{axes}": Named(
            partial(derivative_kernel, axes),
            1,
            f"gaussian-{axes}:SIGMA",
            f"{order} derivative of a Gaussian along {along}",
        )
        for axes, order, along in (
            ("x", "first", "x"),
            ("y", "first", "y"),
            ("xx", "second", "x"),
            ("xy", "second", "x and y"),
            ("yy", "second", "y"),
        )
    },
    "log": Named(log_kernel, 1, "log:SIGMA", "Laplacian of a Gaussian"),
    "dog": Named(dog_kernel, 2, "dog:SIGMA,SIGMA", "difference of two Gaussians"),
    "gabor": Named(
        partial(gabor_kernel, "even"),
        3,
        "gabor:WAVELENGTH,ANGLE,SIGMA",
        "wave along ANGLE under a Gaussian, symmetric",
    ),
    "gabor-odd": Named(
        partial(gabor_kernel, "odd"),
        3,
        "gabor-odd:WAVELENGTH,ANGLE,SIGMA",
        "wave along ANGLE under a Gaussian, antisymmetric",
    ),
    "box": Named(box_kernel, 2, "box:SIZE or box:WIDTH,HEIGHT", "mean of a rectangle"),
    "disc": Named(disc_kernel, 1, "disc:RADIUS", "mean of a disc, as of a lens out of focus"),
    "motion": Named(
        motion_kernel, 2, "motion:LENGTH,ANGLE", "mean along a line, as of a moving camera"
    ),
    "sobel": Named(lambda: edge_kernels("sobel")[0], 0, "sobel", "Sobel's derivative along x"),
    "sobel-y": Named(lambda: edge_kernels("sobel")[1], 0, "sobel-y", "Sobel's derivative along y"),
    "scharr": Named(lambda: edge_kernels("scharr")[0], 0, "scharr", "Scharr's derivative along x"),
    "scharr-y": Named(
        lambda: edge_kernels("scharr")[1], 0, "scharr-y", "Scharr's derivative along y"
    ),
    "prewitt": Named(
        lambda: edge_kernels("prewitt")[0], 0, "prewitt", "Prewitt's derivative along x"
    ),
    "prewitt-y": Named(
        lambda: edge_kernels("prewitt")[1], 0, "prewitt-y", "Prewitt's derivative along y"
    ),
    "laplacian": Named(laplacian_kernel, 0, "laplacian", "second derivatives along x and y, added"),
    "emboss": Named(emboss_kernel, 0, "emboss", "relief, lit from the upper left"),
    "identity": Named(identity_kernel, 0, "identity", "the weight 1, which changes nothing"),
}


def default_words(name: str) -> str:
    """Return a name with the numbers that it has if none are given.

    >>> default_words("motion"), default_words("sobel")
    ('motion:9,0', 'sobel')
    """
    defaults = [each.default for each in inspect.signature(NAMED[name].make).parameters.values()]
    numbers = [f"{value:g}" for value in defaults[: NAMED[name].most_numbers] if value is not None]
    return f"{name}:{','.join(numbers)}" if numbers else name


def _usages() -> tuple[str, ...]:
    """List the names and their numbers, those that share a stem together: ``sobel[-y]``."""
    variants: dict[str, list[str]] = {}
    for name in NAMED:
        stem, dash, tail = name.partition("-")
        variants.setdefault(stem, []).extend([dash + tail] if dash else [])
    return tuple(
        stem
        + (f"[{'|'.join(tails)}]" if tails else "")
        + NAMED[stem].usage.partition(" or ")[0].removeprefix(stem)
        for stem, tails in variants.items()
    )


USAGES = _usages()
"""Every name with its numbers, for messages."""


def named_kernel(text: str) -> Kernel:
    """Make a kernel from its name and numbers, such as ``"motion:15,30"``.

    Raises
    ------
    ConvcliError
        For an unknown name, or numbers that the kernel does not take.
    """
    name, _, numbers = text.partition(":")
    if name not in NAMED:
        raise ConvcliError(f"unknown kernel {name!r}; it must be one of {', '.join(USAGES)}")
    make, most, usage, _ = NAMED[name]
    try:
        values = [float(number) for number in numbers.split(",")] if numbers else []
    except ValueError:
        raise ConvcliError(f"kernel {text!r}: write it as {usage}") from None
    if len(values) > most:
        raise ConvcliError(f"kernel {text!r}: write it as {usage}")
    try:
        return make(*values)
    except ConvcliError as error:
        raise ConvcliError(f"kernel {text!r}: {error}") from None
