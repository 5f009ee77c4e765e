"""The contract of the methods of a filter bank, and the table that names them.

A method's module has one function, ``work(layer, x, weight, bias, out, workers)``. It lays out what
depends on the weights alone, and returns the pieces of the result and a function that computes one
of them::

    out[n, m, y, x] = bias[m] + sum_cij weight[m, c, i, j]
        * x[n, first channel of m's group + c, y * stride + i * dilation - before, ...]

x
    ``(N, C_in, H, W)``, C-contiguous, of the layer's dtype; also weight, bias and out.
weight
    ``(C_out, C_in / groups, KH, KW)``; of a transposed layer ``(C_in, C_out / groups, KH, KW)``.
bias
    ``(C_out,)``.
out
    ``(N, C_out, H, W)``.

Pieces share nothing that is written, so they may be computed in any order and in threads. Sums are
kept in the layer's dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from convcli.banks.layer import Layer
from convcli.types import Floats
from convcli.words import BankMethod


class Work(NamedTuple):
    """How to compute a result: a function, and the pieces to call it with."""

    fill: Callable[[Any], None]
    pieces: Sequence[Any]


METHODS: dict[BankMethod, str] = {
    "definition": "seven nested Python loops: what every other method must equal",
    "direct": "compiled loops, tiles of maps and pixels kept in registers",
    "im2col": "blocks of patches as columns of a matrix, and a matrix product (BLAS)",
    "winograd": "Winograd's F(2x2, 3x3), compiled: 4 multiplications a pixel instead of 9",
    "winograd_4x4": "Winograd's F(4x4, 3x3), compiled: 2.25 multiplications a pixel instead of 9",
    "fft": "FFT blocks: products of spectra, added over the channels",
}
"""The name of each method's module, and what it does. A method that is listed here is tested."""


def load(name: str) -> Callable[[Layer, Floats, Floats, Floats, Floats, int], Work]:
    """Import a method, when it is first needed."""
    found: Callable[[Layer, Floats, Floats, Floats, Floats, int], Work]
    found = import_module(f"convcli.banks.{name}").work
    return found
