"""Winograd's minimal filtering with tiles of 4x4 results; `winograd` has those of 2x2."""

from __future__ import annotations

from functools import partial

from convcli.loops import winograd

correlator = partial(winograd.correlator, tile=winograd.F4)
kernel_shape = winograd.kernel_shape
MIXING = winograd.MIXING
