"""Races made by hand, for the tests of tables, plots and pages: nothing is measured."""

from __future__ import annotations

import numpy as np

from convcli.racing.results import Race, Result

CONTENDERS = {
    # name: (kind, form, seconds for a tap and a megapixel, power of the side, seconds at least)
    "numpy": ("method", "separable", 3e-3, 1, 1e-3),
    "numpy dense": ("method", "dense", 3e-3, 2, 1e-3),
    "numba": ("method", "separable", 2e-4, 1, 1e-3),
    "numba dense": ("method", "dense", 2.5e-4, 2, 1e-3),
    "fft": ("method", "separable", 3e-2, 0.2, 2e-3),
    "fft dense": ("method", "dense", 5e-2, 0.1, 2e-3),
    "tiled": ("method", "separable", 3e-4, 1, 4e-2),
    "tiled dense": ("method", "dense", 3e-4, 2, 4e-2),
    "definition": ("classical", "dense", 1.2e0, 2, 0),
    "dot": ("classical", "dense", 2.2e0, 0.3, 0),
    "windows": ("classical", "dense", 8e-3, 2, 0),
    "im2col": ("classical", "dense", 6e-3, 2, 0),
    "fft-whole": ("classical", "dense", 2e-1, 0.02, 0),
    "winograd F(2x2,3x3)": ("classical", "dense", 9e-3, 2, 0),
    "winograd F(4x4,3x3)": ("classical", "dense", 7e-3, 2, 0),
    "scipy.ndimage": ("peer", "dense", 5e-3, 2, 0),
    "scipy.signal.fftconvolve": ("peer", "dense", 2.2e-1, 0.03, 0),
    "scipy.signal.oaconvolve": ("peer", "dense", 1.1e-1, 0.06, 0),
    "cv2.filter2D": ("peer", "dense", 1.6e-4, 1.8, 0),
    "skimage": ("peer", "separable", 4e-3, 1, 0),
}
MEGAPIXELS = ((500, 500), (1000, 1000), (2000, 2000), (4000, 4000))
SIDES = (3, 5, 9, 17, 33, 65)
MACHINE = {
    "processor": "AMD EPYC 9R45",
    "cores": "2",
    "memory": "8.2 GB",
    "Python": "3.11.2",
    "numpy": "2.4.6",
}


def result(name, height, width, side, **changes):
    """A result as a contender might have."""
    kind, form, tap, power, least = CONTENDERS[name]
    size = height * width
    seconds = least + tap * side**power * size / 1e6
    is_fit = side == 3 or not name.startswith("winograd")
    measured = min(size, 40_000) if seconds > 20 else size
    made = {
        "contender": name,
        "kind": kind,
        "form": form,
        "height": height,
        "width": width,
        "side": side,
        "kernel_height": side,
        "kernel_width": side,
        "seconds": seconds if is_fit else None,
        "spread": 0.04,
        "rounds": 5,
        "measured_pixels": measured,
        "predicted": seconds * 1.2 if kind == "method" else None,
        "memory": None if name.startswith(("tiled", "cv2")) else 4 * size * side,
        "error": 0.0 if is_fit else None,
        "verdict": "" if is_fit else "not for this kernel",
    }
    return Result(**{**made, **changes})


def race(names=tuple(CONTENDERS), sizes=MEGAPIXELS, sides=SIDES, kernel="gaussian", images=None):
    """Every contender on every size and side."""
    results = tuple(result(name, *size, side) for size in sizes for side in sides for name in names)
    return Race(MACHINE, kernel, results, images or {})


def images(names, shape=(60, 90, 3), dtype=np.uint8):
    """An input and outputs of contenders, which differ by a level here and there."""
    random = np.random.default_rng(0)
    rows, columns = np.indices(shape[:2])
    base = (rows * 2 + columns)[..., None] + np.arange(shape[2]) * 20
    made = {"picture": base.astype(dtype)}
    for number, name in enumerate(names):
        after = made["picture"].copy()
        after[random.random(shape) < 0.002 * number] += 1
        made[name] = after
    return made
