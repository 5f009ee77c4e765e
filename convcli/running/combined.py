"""The general case of a tile: every kernel into floats, combined, rounded once at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convcli.loops.contract import Correlate
from convcli.pixels import colour
from convcli.pixels.rounding import store
from convcli.running.recipe import Combine, Recipe
from convcli.types import Floats, Pixels

if TYPE_CHECKING:
    from convcli.running.normalised import Normalised


def combined(
    passes: list[Correlate],
    combine: Combine | None,
    recipe: Recipe,
    accumulator: np.dtype[np.floating],
) -> Correlate:
    """Prepare what fills a tile from its window by the sums of each kernel."""
    how = recipe.colour
    # Colours stay multiplied by alpha, of which a kernel's sum is no part.
    is_sum = how.multiplied and not (combine or how.keep_alpha or how.grey)

    def fill(window: Pixels, out: Pixels) -> None:
        # Loops take samples of any dtype, so plain ones need no float copy.
        values = window if how.is_plain else colour.samples(how, window, accumulator)
        centre = _middle(recipe, values)
        seen = np.ascontiguousarray(colour.weighted(how, values))
        results = []
        for convolve in passes:
            result = np.empty((*out.shape[:2], seen.shape[2]), accumulator)
            convolve(seen, result)
            if is_sum:
                result[..., -1] /= how.kernel_sum
                store(result, out)
                return
            results.append(colour.unweighted(how, result))
        _settle(results, recipe, seen)
        store(_finished(combine, recipe, centre, results, centre), out)

    return fill


def combined_without(
    kernels: list[Normalised],
    combine: Combine | None,
    recipe: Recipe,
    accumulator: np.dtype[np.floating],
) -> Correlate:
    """Prepare the same for windows in which NaN is missing, and left out."""
    how, missing = recipe.colour, recipe.missing
    assert missing, "others are not left out"
    full = how.full if how.weight else None
    is_sum = combine is None and how.is_plain and not recipe.flat

    def fill(window: Pixels, out: Pixels) -> None:
        values = window if how.is_plain else colour.samples(how, window, accumulator)
        centre = _middle(recipe, values)
        seen = np.ascontiguousarray(colour.weighted(how, values))
        if how.weight and how.grey:
            seen = np.concatenate([seen, values[..., -1:]], axis=2)
        results, gone = [], np.zeros((1, 1, 1), bool)
        room = out if is_sum else None  # then what fills it needs no copy
        for kernel in kernels:
            result, nothing = kernel.of(seen, _centre(recipe, seen), full, room)
            if how.weight and how.grey:
                result, nothing = result[..., :-1], nothing[..., :-1]
            results.append(colour.unweighted(how, result))
            gone = gone | nothing
        _settle(results, recipe, seen[..., : results[0].shape[2]])
        if combine and centre.shape == results[0].shape:
            # What is missing takes the value of the sums: sharpened, it does not differ from them.
            beside = np.where(np.isnan(centre), results[0], centre)
        else:
            beside = centre
        result = _finished(combine, recipe, beside, results, centre)
        if gone.any():
            marked = result[..., : gone.shape[2]]
            marked[gone & np.isnan(marked)] = missing.mark
        if result is not out:
            store(result, out)

    return fill


def _middle(recipe: Recipe, values: Floats) -> Floats:
    """Return what a filter combines sums with: a pixel's own colours, not multiplied by alpha."""
    how, centre = recipe.colour, _centre(recipe, values)
    if how.multiplied and not how.grey:
        return colour.straight(centre, centre[..., -1:], how)
    return centre


def _centre(recipe: Recipe, values: Floats) -> Floats:
    above, below, left, right = recipe.halo
    return values[above : values.shape[0] - below, left : values.shape[1] - right]


def _settle(results: list[Floats], recipe: Recipe, seen: Floats) -> None:
    """Set sums to 0 that may be nothing but rounding."""
    if not recipe.flat:
        return
    limit: float | Floats = recipe.flat
    if recipe.local:
        limit = recipe.flat * largest_under(seen, recipe.kernels[0].shape)
    for result in results:
        result[np.abs(result) <= limit] = 0  # and not -0, whose angle is -pi


def _finished(
    combine: Combine | None,
    recipe: Recipe,
    beside: Floats,
    results: list[Floats],
    centre: Floats,
) -> Floats:
    """Combine the results of the kernels, and go back to code values."""
    how = recipe.colour
    together = combine(beside, *results) if combine else results[0]
    if how.alpha and not how.grey:
        together[..., -1] = results[0][..., -1]  # combining is for colours, not for alpha
    return colour.finished(how, together, centre)


def largest_under(values: Floats, shape: tuple[int, int]) -> Floats:
    """Return the largest magnitude of the finite samples that a kernel covers."""
    largest = np.abs(values)
    if not np.isfinite(largest.max(initial=0)):
        largest[~np.isfinite(largest)] = 0
    for axis, length in enumerate(shape):
        largest = np.moveaxis(largest, axis, 0)
        reached = 1  # of this many neighbours it has the largest, and then of twice as many
        while reached < length:
            step = min(reached, length - reached)
            largest = np.maximum(largest[:-step], largest[step:])
            reached += step
        largest = np.moveaxis(largest, 0, axis)
    return largest
