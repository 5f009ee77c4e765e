"""Winograd's F(4x4, 3x3): a quarter of the multiplications, and more rounding than F(2x2, 3x3)."""

from __future__ import annotations

from convcli.banks import winograd
from convcli.banks.contract import Work
from convcli.banks.layer import Layer
from convcli.types import Floats


def work(layer: Layer, x: Floats, weight: Floats, bias: Floats, out: Floats, workers: int) -> Work:
    """Take 36 products for 16 results; see `convcli.banks.contract` for the contract."""
    return winograd.work(layer, x, weight, bias, out, workers, winograd.RESULTS["winograd_4x4"])
