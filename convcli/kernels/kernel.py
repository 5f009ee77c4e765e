"""A kernel: its weights, its factors, and the checks of an array of weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from convcli.checks import array as array_of
from convcli.checks import count
from convcli.errors import ConvcliError
from convcli.once import cached_property

Weights = NDArray[np.float64]
Factor = tuple[Weights, Weights]
"""A column ``(kh,)`` and a row ``(kw,)``; their outer product is one term of the kernel."""

# 2**24 weights are 128 MB: far more than an image needs, and well within memory.
MOST_WEIGHTS = 2**24

# A Gaussian of sigma 25,000, cut at 4 sigma: larger than any image.
LONGEST_SIDE = 200_001

# If the absolute weights summed to nearly 3e38, a result in float32 could be infinite.
_LARGEST_SUM = 1e30

# A singular value decomposition takes 2 ms at 128 x 128, 27 ms here, 330 ms at 512 x 512.
_LARGEST_FACTORED = 256

# Singular values are dropped while their effect on a result, at most the L1 norm of the dropped
# terms, is less than a tenth of the rounding error of a float32 (6e-8).
_RANK_TOLERANCE = 5e-9

# For sums that take weights as they are: a few times float64's own rounding (1.1e-16).
_EXACT_TOLERANCE = 1e-15


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel: `weights` ``(kh, kw)`` in float64, equal to the sum of its `factors`.

    Make one with `kernel_from` or a function of `convcli.kernels.named`. A separable kernel, such
    as a Gaussian, is stored as its factors; `weights` are computed on first access. All arrays
    are made read-only, because named kernels share them. With `exact` no weight is changed by more
    than float64's own rounding: see `exactly`.
    """

    name: str
    shape: tuple[int, int]
    given_weights: Weights | None = None
    given_factors: tuple[Factor, ...] | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        if self.given_weights is not None:
            _fixed(self.given_weights)
        for column, row in self.given_factors or ():
            _fixed(column)
            _fixed(row)

    @cached_property
    def weights(self) -> Weights:
        """All weights, ``(kh, kw)`` float64."""
        if self.given_weights is not None:
            return self.given_weights
        if math.prod(self.shape) > MOST_WEIGHTS:
            raise ConvcliError(
                f"kernel {self.name!r}: its dense form has {self.shape[1]} x {self.shape[0]} "
                f"weights; the limit is {MOST_WEIGHTS}"
            )
        columns, rows = zip(*self.given_factors or (), strict=True)
        return _fixed(np.asarray(np.einsum("ri,rj->ij", np.array(columns), np.array(rows))))

    def at(self, row: int, column: int) -> float:
        """Return one weight, without those of a separable kernel's dense form."""
        if self.given_weights is not None:
            return float(self.given_weights[row, column])
        return math.fsum(y[row] * x[column] for y, x in self.given_factors or ())

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The smallest number of column-times-row terms that sum to the kernel: its rank."""
        if self.given_factors is not None:
            return self.given_factors
        tolerance = _EXACT_TOLERANCE if self.exact else _RANK_TOLERANCE
        return tuple(
            (_fixed(column), _fixed(row)) for column, row in _factorise(self.weights, tolerance)
        )

    @cached_property
    def whole_weights(self) -> tuple[Weights, float]:
        """The weights as whole numbers and their divisor, where they are fractions of such."""
        return whole_numbers(self.weights, self.exact)

    @cached_property
    def whole_factors(self) -> tuple[tuple[Weights, Weights, float], ...]:
        """The same of each term: a column, a row, and one divisor of both."""
        terms = []
        for factor in self.factors:
            (column, by_y), (row, by_x) = (whole_numbers(each, self.exact) for each in factor)
            terms.append((column, row, by_y * by_x))
        return tuple(terms)

    @property
    def cheap_factors(self) -> tuple[Factor, ...] | None:
        """The factors, or None if finding them would take longer than they could save."""
        if self.given_factors is None and min(self.shape) > _LARGEST_FACTORED:
            return None
        return self.factors

    @property
    def is_separable(self) -> bool:
        """Whether the kernel is the product of one column and one row."""
        return self.cheap_factors is not None and self.rank == 1

    @property
    def rank(self) -> int:
        """Number of separable terms: 1 for a Gaussian, 2 for a Laplacian of Gaussian."""
        return len(self.factors)

    def sum(self) -> float:
        """Return the sum of the weights: 1 keeps the brightness, 0 marks a derivative."""
        return self._sum

    @cached_property
    def _sum(self) -> float:
        if self.given_weights is not None:
            return math.fsum(self.given_weights.ravel())
        return math.fsum(math.fsum(c) * math.fsum(r) for c, r in self.factors)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the weights to numpy: ``np.asarray(kernel)``."""
        return np.array(self.weights, dtype, copy=copy)

    @cached_property
    def l1_norm(self) -> float:
        """Sum of the absolute weights: the largest factor by which an error can grow.

        For a kernel that is stored as several terms it is the sum of their norms, an upper bound.
        """
        if self.given_weights is not None:
            return float(np.abs(self.given_weights).sum())
        return sum(float(np.abs(c).sum() * np.abs(r).sum()) for c, r in self.factors)

    @cached_property
    def l2_norm(self) -> float:
        """Root of the sum of squares: the factor by which independent errors grow.

        For a kernel that is stored as several terms it is the sum of their norms, an upper bound.
        """
        if self.given_weights is not None:
            return float(np.linalg.norm(self.given_weights))
        return sum(float(np.linalg.norm(c) * np.linalg.norm(r)) for c, r in self.factors)

    @cached_property
    def taps(self) -> int:
        """Number of weights that are not 0: the products for each sample in the dense form."""
        if self.given_factors is not None:
            # Without computing the weights: too many are counted where terms cancel.
            terms = (int(np.count_nonzero(c) * np.count_nonzero(r)) for c, r in self.given_factors)
            return min(sum(terms), math.prod(self.shape))
        return int(np.count_nonzero(self.weights))

    @property
    def is_derivative(self) -> bool:
        """Whether the weights sum to 0, so a constant image gives 0."""
        return abs(self.sum()) <= 1e-9 * self.l1_norm

    def scaled(self, scale: float) -> Kernel:
        """Multiply every weight by `scale`."""
        if not abs(scale) * self.l1_norm <= _LARGEST_SUM:  # written so that NaN is refused too
            raise ConvcliError(
                f"kernel {self.name!r}: the weights times {scale:g} would be too large; "
                f"their absolute values must sum to less than {_LARGEST_SUM:g}"
            )
        if self.given_factors is not None:
            factors = tuple((column * scale, row) for column, row in self.given_factors)
            return Kernel(self.name, self.shape, given_factors=factors)
        return Kernel(self.name, self.shape, self.weights * scale)

    def normalized(self) -> Kernel:
        """Divide by the sum, so a constant image stays unchanged."""
        if self.is_derivative:
            raise ConvcliError(
                f"kernel {self.name!r} sums to 0, so it cannot be divided by its sum; "
                "leave out --normalize"
            )
        return self.scaled(1.0 / self.sum())

    def dilated(self, step: int) -> Kernel:
        """Put ``step - 1`` zeros between neighbouring weights (zero weights cost nothing)."""
        step = count(step, "dilation")
        shape = ((self.shape[0] - 1) * step + 1, (self.shape[1] - 1) * step + 1)
        _check_size(self.name, shape, dense=self.given_factors is None)
        if self.given_factors is not None:
            factors = tuple((_spread(c, step), _spread(r, step)) for c, r in self.given_factors)
            return Kernel(self.name, shape, given_factors=factors)
        weights = np.zeros(shape)
        weights[::step, ::step] = self.weights
        return Kernel(self.name, shape, weights)

    @cached_property
    def exactly(self) -> Kernel:
        """The kernel whose weights are taken as they are: not as near fractions or few terms."""
        return replace(self, exact=True)

    @cached_property
    def flipped(self) -> Kernel:
        """The kernel rotated by 180 degrees: correlation with it is convolution.

        It is cached with its factors, for the next image of a batch.
        """
        if self.given_factors is not None:
            factors = tuple((column[::-1], row[::-1]) for column, row in self.given_factors)
            return Kernel(self.name, self.shape, given_factors=factors)
        return Kernel(self.name, self.shape, self.weights[::-1, ::-1])


def kernel_from(weights: ArrayLike | Kernel, name: str = "custom") -> Kernel:
    """Check an array of weights and return a kernel.

    Parameters
    ----------
    weights : array_like, (kh, kw)
        Finite real numbers. Sizes may be even, and rows and columns may differ.
    name : str
        The name of the kernel in messages.

    Raises
    ------
    ConvcliError
        If it is not a non-empty, two-dimensional array of finite real numbers.
    """
    if isinstance(weights, Kernel):
        return weights
    array = array_of(weights, f"kernel {name!r}")
    if array.dtype.kind not in "buif":
        raise ConvcliError(f"kernel {name!r}: has dtype {array.dtype}; real numbers are needed")
    if array.ndim != 2 or array.size == 0:
        raise ConvcliError(
            f"kernel {name!r}: has shape {array.shape}; rows and columns are needed, "
            "such as (3, 3) or (1, 5)"
        )
    _check_size(name, array.shape)
    with np.errstate(over="ignore"):  # a long double becomes infinity, which is refused below
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
            f"kernel {name!r}: the weights are too large; their absolute values must sum to less "
            f"than {_LARGEST_SUM:g}"
        )
    return Kernel(name, array.shape, array)


def _fixed(array: Weights) -> Weights:
    """Make an array read-only."""
    array.setflags(write=False)
    return array


def _check_size(name: str, shape: tuple[int, ...], dense: bool = True) -> None:
    if max(shape) > LONGEST_SIDE:
        raise ConvcliError(
            f"kernel {name!r}: has shape {shape}; the limit is {LONGEST_SIDE} weights on a side"
        )
    if dense and math.prod(shape) > MOST_WEIGHTS:
        raise ConvcliError(
            f"kernel {name!r}: has shape {shape}; the limit is {MOST_WEIGHTS} weights"
        )


def _spread(values: Weights, step: int) -> Weights:
    """Put ``step - 1`` zeros between neighbouring values."""
    spread = np.zeros((values.size - 1) * step + 1)
    spread[::step] = values
    return spread


def _factorise(weights: Weights, tolerance: float = _RANK_TOLERANCE) -> tuple[Factor, ...]:
    """Return the smallest number of column-times-row terms that sum to the weights."""
    if not weights.any():
        return ((np.zeros(weights.shape[0]), np.zeros(weights.shape[1])),)
    if 1 in weights.shape:
        one = np.ones(1)
        return ((one, weights[0]),) if weights.shape[0] == 1 else ((weights[:, 0], one),)
    # Rank 1 from the largest element: unlike a singular value decomposition this divides only
    # once, and so keeps whole numbers exact (Sobel: 0.5 1 0.5 and 2 0 -2).
    i, j = np.unravel_index(np.argmax(np.abs(weights)), weights.shape)
    column, row = weights[:, j] / weights[i, j], weights[i, :].copy()
    if np.abs(np.outer(column, row) - weights).sum() <= tolerance * np.abs(weights).sum():
        return ((column, row),)
    left, values, right = np.linalg.svd(weights, full_matrices=False)
    # The largest change of a result, per unit of input, if a term is left out: its L1 norm.
    effect = values * np.abs(left).sum(axis=0) * np.abs(right).sum(axis=1)
    left_out = np.cumsum(effect[::-1])[::-1]
    rank = max(1, int(np.count_nonzero(left_out > tolerance * np.abs(weights).sum())))
    return tuple((left[:, r] * values[r], right[r]) for r in range(rank))


# A larger weight times 255 would exceed the 24 bits of a float32.
_LARGEST_WHOLE = 2**16

# Multiples of the smallest weight to try: Scharr's 3 10 3 needs 3, the most of a named kernel.
_MULTIPLES = np.arange(1, 33)[:, np.newaxis]

# A first test of few weights rejects most kernels quickly: 101 x 101 random weights in 17
# microseconds. A random weight is this near to a whole number once in 5000 times. The final test
# by `_WHOLE` is stricter where the largest whole number is below 1e5.
_FEW = 16
_NEAR = 1e-4

# Relative to the largest weight: a sixtieth of the rounding error of a float32 (6e-8).
_WHOLE = 1e-9


def whole_numbers(weights: Weights, exact: bool = False) -> tuple[Weights, float]:
    """Return weights as whole numbers and a divisor, where they are such fractions.

    A box of 6 weights 1/6 becomes ones and the divisor 6. Sums of whole numbers times 8-bit
    samples are exact in float32 in any order (up to 2**24, which a box of 256 x 256 just
    reaches). So a result that lies half way between two levels does so in every method, and all
    methods round it alike. Other weights are returned unchanged, with the divisor 1. With `exact`
    the fractions must be the very weights.
    """
    size = np.abs(weights[weights != 0])
    if size.size == 0:
        return weights, 1.0
    unit = size.min()
    if size.max() > _LARGEST_WHOLE * unit:
        return weights, 1.0
    few = _MULTIPLES * (size[:_FEW] / unit)
    likely = np.abs(few - np.rint(few)).max(axis=1) <= _NEAR
    for multiple in (np.flatnonzero(likely) + 1).tolist():
        scaled = weights / unit * multiple
        whole = np.rint(scaled)
        if np.abs(scaled - whole).max() <= _WHOLE * np.abs(whole).max():
            # 1 / (1 / 98) is 98.00000000000001, an error that would move results off the half way.
            divisor = multiple / float(unit)
            near = float(np.rint(divisor))
            divisor = near if math.isclose(divisor, near, rel_tol=1e-14) else divisor
            if math.isfinite(divisor) and not (exact and (whole / divisor != weights).any()):
                return whole, divisor
    return weights, 1.0
