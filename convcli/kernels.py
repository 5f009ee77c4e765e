"""Kernels: the weights of a convolution, their factors, and the named ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from convcli.errors import ConvcliError
from convcli.words import OPERATORS, Operator, listed

Weights = NDArray[np.float64]
Factor = tuple[Weights, Weights]
"""A column ``(kh,)`` and a row ``(kw,)``; their outer product is one term of the kernel."""

# 2**24 weights are 128 MB: far beyond any kernel that a picture needs, well within memory.
_MOST_WEIGHTS = 2**24

# A Gaussian of sigma 25,000, cut at 4 sigma: wider than any picture is long.
_LONGEST_SIDE = 200_001

# A sum of absolute weights that came near float32's 3e38 would turn a result into infinity.
_LARGEST_SUM = 1e30

# Singular values are dropped only while what they add to a result, at most the L1 norm of
# the dropped part, is less than a tenth of a float32's own rounding (6e-8).
_RANK_TOLERANCE = 5e-9


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel: `weights` ``(kh, kw)`` in float64, equal to the sum of its `factors`.

    Make one with `kernel_from` or a function of this module. A separable kernel, such as
    a Gaussian, is kept as its factors and expanded only where somebody asks for `weights`.
    """

    name: str
    shape: tuple[int, int]
    given_weights: Weights | None = None
    given_factors: tuple[Factor, ...] | None = None

    @cached_property
    def weights(self) -> Weights:
        """Every weight, ``(kh, kw)`` float64."""
        if self.given_weights is not None:
            return self.given_weights
        if math.prod(self.shape) > _MOST_WEIGHTS:
            raise ConvcliError(
                f"kernel {self.name!r}: its dense form has {self.shape[0]} x {self.shape[1]} "
                f"weights; at most {_MOST_WEIGHTS} fit"
            )
        columns, rows = zip(*self.given_factors or (), strict=True)
        return np.asarray(np.einsum("ri,rj->ij", np.array(columns), np.array(rows)))

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The fewest column-times-row terms whose sum is the kernel; their count is the rank."""
        return self.given_factors if self.given_factors is not None else _factorise(self.weights)

    @property
    def cheap_factors(self) -> tuple[Factor, ...] | None:
        """The factors, unless finding them would cost more than they could save.

        A singular value decomposition takes about 20 ms at 256 x 256 and grows with the cube.
        """
        if self.given_factors is None and min(self.shape) > 256:
            return None
        return self.factors

    @property
    def is_separable(self) -> bool:
        """Whether one column and one row make up the kernel."""
        return self.cheap_factors is not None and self.rank == 1

    @property
    def rank(self) -> int:
        """Number of separable terms: 1 for a Gaussian, 2 for a Laplacian of Gaussian."""
        return len(self.factors)

    def sum(self) -> float:
        """Sum of the weights: 1 keeps brightness, 0 marks a derivative."""
        if self.given_weights is not None:
            return math.fsum(self.given_weights.ravel())
        return math.fsum(math.fsum(c) * math.fsum(r) for c, r in self.factors)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Let numpy take the kernel for its weights: ``np.asarray(kernel)``."""
        return np.array(self.weights, dtype, copy=copy)

    @cached_property
    def l1_norm(self) -> float:
        """Sum of the weights' sizes: the largest factor by which a sample's error can grow.

        Of a kernel that is kept as several factors, their sum, which is at least that.
        """
        if self.given_weights is not None:
            return float(np.abs(self.given_weights).sum())
        return sum(float(np.abs(c).sum() * np.abs(r).sum()) for c, r in self.factors)

    @cached_property
    def taps(self) -> int:
        """Number of weights that are not 0, which is what the dense form costs a pixel."""
        if self.given_factors is not None:
            # Counted without expanding them: where terms cancel, that is too many.
            terms = (int(np.count_nonzero(c) * np.count_nonzero(r)) for c, r in self.given_factors)
            return min(sum(terms), math.prod(self.shape))
        return int(np.count_nonzero(self.weights))

    @property
    def is_derivative(self) -> bool:
        """Whether the weights cancel, so that a flat picture gives 0."""
        return abs(self.sum()) <= 1e-9 * self.l1_norm

    def scaled(self, scale: float) -> Kernel:
        """Multiply every weight by `scale`."""
        if not abs(scale) * self.l1_norm <= _LARGEST_SUM:  # so that NaN is refused too
            raise ConvcliError(
                f"kernel {self.name!r}: times {scale:g} its weights would be too large; "
                f"their sum must be < {_LARGEST_SUM:g}"
            )
        if self.given_factors is not None:
            factors = tuple((column * scale, row) for column, row in self.given_factors)
            return Kernel(self.name, self.shape, given_factors=factors)
        return Kernel(self.name, self.shape, self.weights * scale)

    def normalized(self) -> Kernel:
        """Divide by the sum, so that a flat picture stays as it is."""
        if self.is_derivative:
            raise ConvcliError(
                f"kernel {self.name!r} sums to 0, so it cannot be divided by its sum; "
                "leave out --normalize"
            )
        return self.scaled(1.0 / self.sum())

    def dilated(self, step: int) -> Kernel:
        """Put ``step - 1`` zeros between neighbouring weights (zero weights cost nothing)."""
        step = check_count(step, "dilation")
        shape = ((self.shape[0] - 1) * step + 1, (self.shape[1] - 1) * step + 1)
        _check_size(self.name, shape, dense=self.given_factors is None)
        if self.given_factors is not None:
            factors = tuple((_spread(c, step), _spread(r, step)) for c, r in self.given_factors)
            return Kernel(self.name, shape, given_factors=factors)
        weights = np.zeros(shape)
        weights[::step, ::step] = self.weights
        return Kernel(self.name, shape, weights)

    @cached_property
    def flipped(self) -> Kernel:
        """The kernel turned by 180 degrees: what makes a correlation a convolution.

        Kept, and with it the factors, for the next picture of a batch.
        """
        if self.given_factors is not None:
            factors = tuple((column[::-1], row[::-1]) for column, row in self.given_factors)
            return Kernel(self.name, self.shape, given_factors=factors)
        return Kernel(self.name, self.shape, self.weights[::-1, ::-1])


def kernel_from(weights: ArrayLike | Kernel, name: str = "custom") -> Kernel:
    """Check an array of weights and make a kernel of it.

    Parameters
    ----------
    weights : array_like, (kh, kw)
        Real, finite numbers; even and oblong sizes are fine.
    name : str
        What to call it in messages.

    Raises
    ------
    ConvcliError
        For anything but a non-empty, two-dimensional array of finite real numbers.
    """
    if isinstance(weights, Kernel):
        return weights
    try:
        array = np.asarray(weights)
    except ValueError:
        raise ConvcliError(f"kernel {name!r}: the rows differ in length") from None
    if array.dtype.kind not in "buif":
        raise ConvcliError(f"kernel {name!r}: has dtype {array.dtype}; real numbers are needed")
    if array.ndim != 2 or array.size == 0:
        raise ConvcliError(
            f"kernel {name!r}: has shape {array.shape}; rows and columns are needed, "
            "such as (3, 3) or (1, 5)"
        )
    _check_size(name, array.shape)
    with np.errstate(over="ignore"):  # of a long double: refused below, as infinity
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ConvcliError(
            f"kernel {name!r}: row {row + 1}, column {column + 1} is {array[row, column]}; "
            "every weight must be a finite number"
        )
    with np.errstate(over="ignore"):
        size = np.abs(array).sum()
    if size > _LARGEST_SUM:
        raise ConvcliError(
            f"kernel {name!r}: its weights are too large; their sum must be < {_LARGEST_SUM:g}"
        )
    return Kernel(name, array.shape, array)


def _check_size(name: str, shape: tuple[int, ...], dense: bool = True) -> None:
    if max(shape) > _LONGEST_SIDE:
        raise ConvcliError(
            f"kernel {name!r}: has shape {shape}; at most {_LONGEST_SIDE} weights fit on a side"
        )
    if dense and math.prod(shape) > _MOST_WEIGHTS:
        raise ConvcliError(
            f"kernel {name!r}: has shape {shape}; at most {_MOST_WEIGHTS} weights fit"
        )


def _spread(values: Weights, step: int) -> Weights:
    """Put ``step - 1`` zeros between neighbouring values."""
    spread = np.zeros((values.size - 1) * step + 1)
    spread[::step] = values
    return spread


def _factorise(weights: Weights) -> tuple[Factor, ...]:
    """Split into the fewest column-times-row terms that give the weights back."""
    if not weights.any():
        return ((np.zeros(weights.shape[0]), np.zeros(weights.shape[1])),)
    if 1 in weights.shape:
        one = np.ones(1)
        return ((one, weights[0]),) if weights.shape[0] == 1 else ((weights[:, 0], one),)
    # Rank 1 by its largest element: unlike a singular value decomposition this divides
    # once and so keeps whole numbers whole (Sobel: 0.5 1 0.5 and 2 0 -2).
    i, j = np.unravel_index(np.argmax(np.abs(weights)), weights.shape)
    column, row = weights[:, j] / weights[i, j], weights[i, :].copy()
    if np.abs(np.outer(column, row) - weights).sum() <= _RANK_TOLERANCE * np.abs(weights).sum():
        return ((column, row),)
    left, values, right = np.linalg.svd(weights, full_matrices=False)
    # What leaving a term out can change in a result, a unit of input: its L1 norm.
    effect = values * np.abs(left).sum(axis=0) * np.abs(right).sum(axis=1)
    left_out = np.cumsum(effect[::-1])[::-1]
    rank = max(1, int(np.count_nonzero(left_out > _RANK_TOLERANCE * np.abs(weights).sum())))
    return tuple((left[:, r] * values[r], right[r]) for r in range(rank))


def whole_numbers(weights: Weights) -> tuple[Weights, float]:
    """Write weights as whole numbers and a divisor, where that is what they are.

    A box of 6 weights 1/6 becomes ones and the divisor 6. Sums of whole numbers times
    8-bit samples are exact in float32, whatever the order (up to 2**24, which a box of 256
    x 256 just reaches); so a result that lies half way between two levels is just that in
    every method, and all of them round it alike.
    Weights that are not such fractions come back as they are, with the divisor 1.
    """
    size = np.abs(weights[weights != 0])
    if size.size == 0:
        return weights, 1.0
    unit = size.min()
    if size.max() > 2**16 * unit:
        return weights, 1.0
    # Multiples of the smallest weight, up to 32 of them: Scharr's 3 10 3 needs 3. A few
    # weights tell of most that they will not do.
    few = size[:16] / unit
    for multiple in range(1, 33):
        if np.abs(few * multiple - np.rint(few * multiple)).max() > 1e-4:
            continue
        scaled = weights / unit * multiple
        whole = np.rint(scaled)
        if np.abs(scaled - whole).max() <= 1e-9 * np.abs(whole).max():
            # 1 / (1 / 98) is 98.00000000000001, which would miss the half way by that much.
            divisor = multiple / float(unit)
            near = float(np.rint(divisor))
            return whole, near if math.isclose(divisor, near, rel_tol=1e-14) else divisor
    return weights, 1.0


def _positive(value: float, name: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ConvcliError(f"{name} must be a finite number above 0, not {value:g}")
    return float(value)


def check_count(value: float, name: str, least: int = 1) -> int:
    """Return a whole number that is large enough, or raise `ConvcliError`."""
    if not (math.isfinite(value) and value >= least and value == int(value)):
        raise ConvcliError(f"{name} must be a whole number of at least {least}, not {value:g}")
    return int(value)


def _radius(sigma: float, truncate: float, radius: int | None) -> int:
    """Half width of a sampled Gaussian: ``int(truncate * sigma + 0.5)``, as in scipy."""
    if radius is not None:
        half = check_count(radius, "radius", least=0)
    else:
        half_width = _positive(truncate, "truncate") * sigma + 0.5
        half = int(half_width) if half_width < _LONGEST_SIDE else _LONGEST_SIDE
    if 2 * half + 1 > _LONGEST_SIDE:
        raise ConvcliError(
            f"sigma {sigma:g} needs a kernel of more than {_LONGEST_SIDE} samples; "
            "shrink the picture first, or lower --truncate or --radius"
        )
    return half


def _gaussian_samples(sigma: float, half: int) -> Weights:
    x = np.arange(-half, half + 1)
    with np.errstate(over="ignore"):  # exp(-infinity) is the 0 that it should be
        samples = np.exp(-0.5 * (x / sigma) ** 2)
    return np.asarray(samples / samples.sum())


def _sigmas(sigma: float | tuple[float, float]) -> tuple[float, float]:
    """Check sigma and return it as (along x, along y)."""
    try:
        along_x, along_y = np.broadcast_to(np.asarray(sigma, np.float64), 2)
    except (TypeError, ValueError):
        raise ConvcliError(
            f"sigma must be one number or two (along x, along y), not {sigma!r}"
        ) from None
    return _positive(along_x, "sigma"), _positive(along_y, "sigma")


def gaussian_kernel(
    sigma: float | tuple[float, float] = 1.0, truncate: float = 4.0, radius: int | None = None
) -> Kernel:
    r"""Sampled Gaussian, normalised to a sum of 1.

    .. math:: g(x, y) \propto \exp(-x^2 / 2\sigma_x^2 - y^2 / 2\sigma_y^2)

    Parameters
    ----------
    sigma : float or (float, float)
        Standard deviation in pixels; a pair is (along x, along y).
    truncate : float
        The kernel is cut at ``int(truncate * sigma + 0.5)`` pixels, scipy.ndimage's rule.
    radius : int, optional
        Cut at this many pixels instead.

    Raises
    ------
    ConvcliError
        If sigma or truncate is not finite and above 0.
    """
    sigma_x, sigma_y = _sigmas(sigma)
    row = _gaussian_samples(sigma_x, _radius(sigma_x, truncate, radius))
    column = _gaussian_samples(sigma_y, _radius(sigma_y, truncate, radius))
    return Kernel("gaussian", (column.size, row.size), given_factors=((column, row),))


def log_kernel(sigma: float = 1.0) -> Kernel:
    r"""Laplacian of Gaussian, cut at 4 sigma, summing to 0.

    .. math:: g''(x)\,g(y) + g(x)\,g''(y), \quad g''(x) = (x^2/\sigma^4 - 1/\sigma^2)\,g(x)

    Cutting leaves the samples of g'' with a small sum; that much of g is taken off, so
    that a flat picture gives 0 and the rank stays 2. Below a sigma of 0.2 nothing beside
    the centre would be left, and so nothing at all.
    """
    sigma = _positive(sigma, "sigma")
    if sigma < 0.2:
        raise ConvcliError(f"sigma of a log must be at least 0.2, not {sigma:g}")
    half = _radius(sigma, 4.0, None)
    x = np.arange(-half, half + 1)
    g = _gaussian_samples(sigma, half)
    second = (x**2 / sigma**4 - 1 / sigma**2) * g
    second -= second.sum() * g
    return Kernel("log", (g.size, g.size), given_factors=((g, second), (second, g)))


# Derivative across, smoothing along: the vectors behind the 3x3 edge operators. Each
# smoothing vector sums to 1, so that a full step gives its own height. Sources: Sobel and
# Feldman 1968; Prewitt 1970; Scharr 2000 (the 3 10 3 approximation).
_DERIVATIVE = np.array([1.0, 0.0, -1.0])
_SMOOTHING: dict[Operator, Weights] = {
    "sobel": np.array([1.0, 2.0, 1.0]) / 4,
    "scharr": np.array([3.0, 10.0, 3.0]) / 16,
    "prewitt": np.array([1.0, 1.0, 1.0]) / 3,
}


def edge_kernels(operator: Operator = "sobel") -> tuple[Kernel, Kernel]:
    """Kernels of the derivatives along x and along y, in this order.

    They are meant for convolution, which flips them: brightness that rises to the right,
    or downwards, gives a positive result. A step of height h gives h.
    """
    if operator not in _SMOOTHING:
        raise ConvcliError(f"unknown operator {operator!r}; it must be {listed(OPERATORS)}")
    smooth = _SMOOTHING[operator]
    along_x = Kernel(operator, (3, 3), given_factors=((smooth, _DERIVATIVE),))
    along_y = Kernel(f"{operator}-y", (3, 3), given_factors=((_DERIVATIVE, smooth),))
    return along_x, along_y


def sobel_kernels() -> tuple[Kernel, Kernel]:
    """Sobel's kernels for the derivatives along x and y, scaled so that a step gives its height."""
    return edge_kernels("sobel")


def laplacian_kernel() -> Kernel:
    """Sum of the second differences along x and y: ``0 1 0; 1 -4 1; 0 1 0``."""
    return kernel_from([[0, 1, 0], [1, -4, 1], [0, 1, 0]], "laplacian")


def box_kernel(width: float = 3, height: float | None = None) -> Kernel:
    """Mean over ``width`` x ``height`` pixels (a square without `height`)."""
    columns = check_count(width, "box width")
    rows = columns if height is None else check_count(height, "box height")
    if max(rows, columns) > _LONGEST_SIDE:
        raise ConvcliError(f"a box may be at most {_LONGEST_SIDE} pixels long")
    column, row = np.full(rows, 1.0 / rows), np.full(columns, 1.0 / columns)
    return Kernel("box", (rows, columns), given_factors=((column, row),))


def emboss_kernel() -> Kernel:
    """Light from the upper left on a relief: ``2 1 0; 1 1 -1; 0 -1 -2``.

    The weights sum to 1. Convolution flips them: what is brighter than its upper left
    neighbours comes out brighter still.
    """
    return kernel_from([[2, 1, 0], [1, 1, -1], [0, -1, -2]], "emboss")


def disc_kernel(radius: float = 3.0) -> Kernel:
    """Mean over a disc of `radius` pixels, the blur of a lens out of focus.

    A weight falls from 1 to 0 over the pixel that the rim cuts: ``radius + 0.5 - distance``,
    clipped to 0 .. 1.
    """
    radius = _positive(radius, "disc radius")
    if radius > 2000:
        raise ConvcliError(f"disc radius must be at most 2000 pixels, not {radius:g}")
    half = math.ceil(radius - 0.5)
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    weights = np.clip(radius + 0.5 - np.hypot(x, y), 0.0, 1.0)
    return kernel_from(weights / weights.sum(), "disc")


def motion_kernel(length: float = 9.0, angle: float = 0.0) -> Kernel:
    """Mean along a line: `length` pixels at `angle` degrees, counter-clockwise from the right.

    A weight falls from 1 to 0 over one pixel of distance from the line, so that angles
    between the pixels are smooth; at 0 and 90 degrees an odd length gives just that many
    equal weights.
    """
    length = _positive(length, "motion length")
    if not math.isfinite(angle):
        raise ConvcliError(f"motion angle must be a finite number of degrees, not {angle:g}")
    if length > 4000:
        raise ConvcliError(f"motion length must be at most 4000 pixels, not {length:g}")
    reach = max(length - 1.0, 0.0) / 2
    turn = math.radians(angle)
    along_x, along_y = math.cos(turn), -math.sin(turn)  # rows count downwards
    half_x = math.ceil(reach * abs(along_x) - 1e-9)
    half_y = math.ceil(reach * abs(along_y) - 1e-9)
    y, x = np.mgrid[-half_y : half_y + 1, -half_x : half_x + 1]
    nearest = np.clip(x * along_x + y * along_y, -reach, reach)
    distance = np.hypot(x - nearest * along_x, y - nearest * along_y)
    # Sines of right angles are off by 1e-16; without this the weights would not be equal.
    weights = np.round(np.clip(1.0 - distance, 0.0, 1.0), 12)
    return kernel_from(weights / weights.sum(), "motion")


def identity_kernel() -> Kernel:
    """The single weight 1, which leaves every picture as it is."""
    return kernel_from([[1]], "identity")


class Named(NamedTuple):
    """A row of the table of names: how to make the kernel, and how to write it."""

    make: Callable[..., Kernel]
    most_numbers: int
    usage: str


NAMED: dict[str, Named] = {
    "gaussian": Named(
        lambda x=1.0, y=None: gaussian_kernel(x if y is None else (x, y)),
        2,
        "gaussian:SIGMA or gaussian:X,Y",
    ),
    "log": Named(log_kernel, 1, "log:SIGMA"),
    "box": Named(box_kernel, 2, "box:SIZE or box:WIDTH,HEIGHT"),
    "disc": Named(disc_kernel, 1, "disc:RADIUS"),
    "motion": Named(motion_kernel, 2, "motion:LENGTH,ANGLE"),
    "sobel": Named(lambda: edge_kernels("sobel")[0], 0, "sobel"),
    "sobel-y": Named(lambda: edge_kernels("sobel")[1], 0, "sobel-y"),
    "scharr": Named(lambda: edge_kernels("scharr")[0], 0, "scharr"),
    "scharr-y": Named(lambda: edge_kernels("scharr")[1], 0, "scharr-y"),
    "prewitt": Named(lambda: edge_kernels("prewitt")[0], 0, "prewitt"),
    "prewitt-y": Named(lambda: edge_kernels("prewitt")[1], 0, "prewitt-y"),
    "laplacian": Named(laplacian_kernel, 0, "laplacian"),
    "emboss": Named(emboss_kernel, 0, "emboss"),
    "identity": Named(identity_kernel, 0, "identity"),
}


def named_kernel(text: str) -> Kernel:
    """Make a kernel from its name and numbers, such as ``"motion:15,30"``.

    Raises
    ------
    ConvcliError
        For an unknown name, or numbers that the kernel does not take.
    """
    name, _, numbers = text.partition(":")
    if name not in NAMED:
        raise ConvcliError(f"unknown kernel {name!r}; known are {', '.join(NAMED)}")
    make, most, usage = NAMED[name]
    try:
        values = [float(number) for number in numbers.split(",")] if numbers else []
    except ValueError:
        raise ConvcliError(f"kernel {text!r}: write it as {usage}") from None
    if len(values) > most:
        raise ConvcliError(f"kernel {text!r}: write it as {usage}")
    return make(*values)
