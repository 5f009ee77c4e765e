"""A bank: kernels of one shape over the same channels, with a name for each map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from convcli.errors import ConvcliError
from convcli.types import Floats


@dataclass(frozen=True)
class Bank:
    """Kernels that are correlated with the same image.

    Attributes
    ----------
    weights : ndarray, (maps, channels, KH, KW)
        float64, or float32 as read from a file.
    names : tuple of str
        A name for each map, fit for a file.
    pairs : tuple of (int, int)
        Maps that are in quadrature: the root of the sum of their squares is an energy.
    stride : int
        Step between results, where the bank has one of its own.
    row : int
        How many maps that follow each other belong in a row of a contact sheet; 0 for any number.
    is_layer : bool
        Whether it is a layer of a network, whose groups divide its maps among the channels.
    """

    weights: Floats
    names: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...] = ()
    stride: int = 1
    row: int = 0
    is_layer: bool = False


def bank_of(weights: ArrayLike, name: str, labels: tuple[str, ...] = ()) -> Bank:
    """Check an array of kernels and make it a bank.

    `weights` is ``(maps, channels, KH, KW)``, ``(maps, KH, KW)`` for kernels of one channel, or
    ``(KH, KW)`` for a single one. `labels` name the maps; without them they are numbered.
    """
    array = np.asarray(weights)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise ConvcliError(f"bank {name} must hold real numbers, not {array.dtype}")
    if array.ndim not in (2, 3, 4) or array.size == 0:
        raise ConvcliError(
            f"bank {name} has the shape {array.shape}; it must be (maps, channels, rows, columns), "
            "(maps, rows, columns) or (rows, columns), and not empty"
        )
    if not np.isfinite(array).all():
        raise ConvcliError(f"bank {name} holds NaN or infinity; its weights must be finite")
    if array.ndim < 4:
        array = array.reshape(-1, 1, *array.shape[-2:])
    is_single = array.dtype == np.float32
    values: Floats = np.ascontiguousarray(array, np.float32 if is_single else np.float64)
    digits = len(str(len(values)))
    numbered = tuple(f"{number:0{digits}}" for number in range(1, len(values) + 1))
    return Bank(values, labels or numbered, is_layer=True)
