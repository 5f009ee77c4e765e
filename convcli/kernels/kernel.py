"""A kernel: its weights, its factors, and what is checked before an array becomes one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from convcli.checks import count
from convcli.errors import ConvcliError

Weights = NDArray[np.float64]
Factor = tuple[Weights, Weights]
"""A column ``(kh,)`` and a row ``(kw,)``; their outer product is one term of the kernel."""

# 2**24 weights are 128 MB: far beyond any kernel that a picture needs, well within memory.
_MOST_WEIGHTS = 2**24

# A Gaussian of sigma 25,000, cut at 4 sigma: wider than any picture is long.
LONGEST_SIDE = 200_001

# A sum of absolute weights that came near float32's 3e38 would turn a result into infinity.
_LARGEST_SUM = 1e30

# A singular value decomposition takes 2 ms at 128 x 128, 27 ms here, 330 at 512 x 512.
_LARGEST_FACTORED = 256

# Singular values are dropped only while what they add to a result, at most the L1 norm of
# the dropped part, is less than a tenth of a float32's own rounding (6e-8).
_RANK_TOLERANCE = 5e-9


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel: `weights` ``(kh, kw)`` in float64, equal to the sum of its `factors`.

    Make one with `kernel_from` or a function of `convcli.kernels.named`. A separable kernel, such
    as a Gaussian, is kept as its factors and expanded only where somebody asks for `weights`.
    All its arrays are made read-only: the named kernels share theirs.
    """

    name: str
    shape: tuple[int, int]
    given_weights: Weights | None = None
    given_factors: tuple[Factor, ...] | None = None

    def __post_init__(self) -> None:
        if self.given_weights is not None:
            _fixed(self.given_weights)
        for column, row in self.given_factors or ():
            _fixed(column)
            _fixed(row)

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
        return _fixed(np.asarray(np.einsum("ri,rj->ij", np.array(columns), np.array(rows))))

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The fewest column-times-row terms whose sum is the kernel; their count is the rank."""
        if self.given_factors is not None:
            return self.given_factors
        return tuple((_fixed(column), _fixed(row)) for column, row in _factorise(self.weights))

    @property
    def cheap_factors(self) -> tuple[Factor, ...] | None:
        """The factors, unless finding them would cost more than they could save."""
        if self.given_factors is None and min(self.shape) > _LARGEST_FACTORED:
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
        return self._sum

    @cached_property
    def _sum(self) -> float:
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


def _fixed(array: Weights) -> Weights:
    """Make an array read-only."""
    array.setflags(write=False)
    return array


def _check_size(name: str, shape: tuple[int, ...], dense: bool = True) -> None:
    if max(shape) > LONGEST_SIDE:
        raise ConvcliError(
            f"kernel {name!r}: has shape {shape}; at most {LONGEST_SIDE} weights fit on a side"
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


# One larger weight times 255 alone would leave the 24 bits of a float32.
_LARGEST_WHOLE = 2**16

# Multiples of the smallest weight that are tried: Scharr's 3 10 3 needs 3, no named kernel more.
_MULTIPLES = np.arange(1, 33)[:, np.newaxis]

# So many weights tell of most kernels that they will not do: one of 101 x 101 random weights is
# refused in 17 microseconds. Random weights come as near to whole numbers as this once in 5000
# times each; what decides, `_WHOLE`, asks for more wherever the largest is below 1e5.
_FEW = 16
_NEAR = 1e-4

# Of the largest weight: a sixtieth of a float32's own rounding (6e-8), so that no result shows it.
_WHOLE = 1e-9


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
    if size.max() > _LARGEST_WHOLE * unit:
        return weights, 1.0
    few = _MULTIPLES * (size[:_FEW] / unit)
    likely = np.abs(few - np.rint(few)).max(axis=1) <= _NEAR
    for multiple in (np.flatnonzero(likely) + 1).tolist():
        scaled = weights / unit * multiple
        whole = np.rint(scaled)
        if np.abs(scaled - whole).max() <= _WHOLE * np.abs(whole).max():
            # 1 / (1 / 98) is 98.00000000000001, which would miss the half way by that much.
            divisor = multiple / float(unit)
            near = float(np.rint(divisor))
            return whole, near if math.isclose(divisor, near, rel_tol=1e-14) else divisor
    return weights, 1.0
