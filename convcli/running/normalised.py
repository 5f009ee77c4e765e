"""Sums that leave missing samples out: normalised convolution.

Each missing sample under a kernel k is replaced by m, the mean of the others, weighted by |k|::

    m = sum |k| v / sum |k|          over the samples v that are there
    result = sum k v + (sum of k over those that are missing) * m

Of a kernel without negative weights, that is ``s * sum k v / sum k`` with s the sum of the whole
kernel: the normalised convolution of Knutsson and Westin (1993, Normalized and differential
convolution). A kernel with weights of both signs cannot be divided by what remains of its sum,
which may be 0; for it the samples are compared with m, as in their differential convolution, so
that a constant gives what it gives without holes. Where no sample remains, the pixel's own takes
the place of m: a missing one stays missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from convcli.kernels.kernel import Kernel
from convcli.loops.contract import Loop
from convcli.types import Floats, Pixels

Mask = NDArray[np.bool_]

# Transforms leave rounding where a sum is 0. Below this many times it, sums that are divided by
# each other are made again, sample by sample: above it, a quotient is off by 1e-8 at most.
_ROUNDINGS = 1e8

# Samples that are gathered at a time for that: 32 MB.
_GATHERED = 1 << 22


class Normalised(NamedTuple):
    """One kernel's sums, prepared.

    Attributes
    ----------
    kernel, sizes : Kernel
        The kernel and its absolute weights, which are the same if none is negative.
    sum_of : callable
        ``sum_of(kernel, values, are_finite, out)``: the sums of finite or infinite values
        ``(h, w, C)``, in `out` if they fit.
    loop : Loop
        What sums.
    dtype : dtype
        Of the sums.
    sees_own : bool
        The kernel takes the pixel that it lies over: where nothing remains, that is missing, too.
    marks : bool
        Whether it matters where nothing remains, and not only that NaN is there.
    """

    kernel: Kernel
    sizes: Kernel
    sum_of: Callable[..., Floats]
    loop: Loop
    dtype: np.dtype[np.floating]
    sees_own: bool
    marks: bool

    def of(
        self, seen: Floats, centre: Floats, full: float | None, out: Pixels | None = None
    ) -> tuple[Floats, Mask]:
        """Sum a window in which NaN is missing.

        Parameters
        ----------
        seen : ndarray (h, w, C)
            Samples; with an alpha the colours multiplied by it, and last the alpha itself.
        centre : ndarray
            The part of it that lies under the middle of the kernel.
        full : float, optional
            What the alpha of an opaque pixel is, if colours are weighted by it.
        out : ndarray, optional
            Where the sums may be.

        Returns
        -------
        sums, gone : ndarray (h', w', C)
            The sums, and where nothing remains: they are NaN there. Without `marks` it is not said.
        """
        parted = self.loop.parted if full is None else None
        if parted:
            known, weights, are_finite = parted(seen, self.dtype)
        else:
            known, weights, are_finite = _parted(seen, full)
        total = self.sum_of(self.kernel, known, are_finite, out)
        present = self.sum_of(self.kernel, weights, True)
        mean, remains = total, present
        if self.sizes is not self.kernel:
            mean = self.sum_of(self.sizes, known, are_finite)
            remains = self.sum_of(self.sizes, weights, True)
        if self.loop.mixing:
            self._make_again(known, weights, (total, present, mean, remains))
        gone = np.zeros((1, 1, seen.shape[2]), bool)
        whole: Floats | float = self.kernel.sum()
        divided = (self.loop.divided if parted else None) or _divided
        is_all = full is None and self.sizes is self.kernel  # then the quotient is the result
        share = self.kernel.sum() if is_all else 1.0
        if divided(mean, remains, share) and (self.marks or not self.sees_own or full is not None):
            nothing = remains == 0
            gone = nothing & np.isnan(centre)
            # A pixel of which the kernel takes nothing, as the middle of a ring, may be all that
            # is left. Under an alpha of 0 there is no colour.
            own = centre * share if full is None else centre * 0
            mean = np.where(nothing, own, mean)
        if is_all:
            return mean, gone
        if full is not None:  # sums of colours are as large as those of what they are weighted by
            alpha = self._completed(total, present, mean, whole)[..., -1:]
            whole = np.repeat(alpha / full, seen.shape[2], axis=2)
            whole[..., -1] = self.kernel.sum()
        return self._completed(total, present, mean, whole), gone

    def _completed(
        self, total: Floats, present: Floats, mean: Floats, whole: Floats | float
    ) -> Floats:
        """Let the mean take the place of what is missing in a total."""
        if self.sizes is self.kernel:
            return mean * whole
        return total + (whole - present) * mean

    def _make_again(self, known: Floats, weights: Floats, sums: tuple[Floats, ...]) -> None:
        """Make the sums again, in place, in which rounding is a large share of what remains."""
        total, present, mean, remains = sums
        least = _ROUNDINGS * self.loop.mixing * self.kernel.l1_norm
        doubtful = (remains < least).any(axis=2)
        if not doubtful.any():
            return
        # Counts are whole numbers, so that rounding leaves no error.
        taps = self.sizes.weights != 0
        support = Kernel("support", self.kernel.shape, taps.astype(float))
        counts = self.sum_of(support, (weights != 0).astype(weights.dtype), True)
        for each in sums:
            each[doubtful] = 0
        rows, columns = np.nonzero(doubtful & (np.rint(counts) > 0).any(axis=2))
        at_a_time = max(1, _GATHERED // (known.shape[2] * self.kernel.weights.size))
        for values, signed, size in ((known, total, mean), (weights, present, remains)):
            patches = sliding_window_view(values, self.kernel.shape, axis=(0, 1))
            for first in range(0, rows.size, at_a_time):
                here = rows[first : first + at_a_time], columns[first : first + at_a_time]
                reached = patches[here][..., taps]  # infinity times 0 would be NaN
                signed[here] = reached @ self.kernel.weights[taps]
                size[here] = reached @ self.sizes.weights[taps]


def _parted(seen: Floats, full: float | None) -> tuple[Floats, Floats, bool]:
    """Return samples with 0 in place of NaN, how much each counts, and whether all are finite."""
    missing = np.isnan(seen)
    known = np.where(missing, 0, seen)
    are_finite = math.isfinite(known.max()) and math.isfinite(known.min())
    return known, _weights(seen, missing, full), are_finite


def _divided(total: Floats, weights: Floats, whole: float) -> bool:
    """Multiply a total by whole / weights, in place; say whether some weights are 0."""
    np.divide(total, weights, out=total)
    if whole != 1:
        total *= total.dtype.type(whole)
    return not weights.all()


def _weights(seen: Floats, missing: Mask, full: float | None) -> Floats:
    """Return how much each sample counts: one channel, if that is the same in all of them."""
    if full is not None:
        opacity = np.repeat(np.nan_to_num(seen[..., -1:] / full), seen.shape[2], axis=2)
        opacity[..., -1] = 1
        return np.where(missing, 0, opacity)
    if (missing == missing[..., :1]).all():
        missing = missing[..., :1]
    return (~missing).astype(seen.dtype)
