"""What the tables of run.py are made of: rows of contestants, the race, and the photographs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec

import numpy as np
import skimage.data
from PIL import Image

from convcli.types import Pixels

Measure = Callable[[], float]
"""Does the work once and returns what it cost: milliseconds or megabytes."""

# A row that has taken this many seconds ends after its second round: the whole run stays below
# ten minutes on two cores, and what takes seconds varies little.
PATIENCE = 6.0

# Debian's name of ImageMagick 6, which is what is meant; elsewhere it is plainly `convert`.
IMAGEMAGICK = "convert-im6" if shutil.which("convert-im6") else "convert"

INSTALLED = {
    "OpenCV": find_spec("cv2") is not None,
    "ImageMagick": shutil.which(IMAGEMAGICK) is not None,
    "GraphicsMagick": shutil.which("gm") is not None,
    "vips": shutil.which("vips") is not None,
}
"""The peers that may be missing. Others (convcli at other work, Python) are always there."""


@dataclass(frozen=True)
class Row:
    """Convcli and its peers at one piece of work."""

    work: str
    convcli: Measure
    peers: dict[str, Measure] = field(default_factory=dict)
    unit: str = "ms"


def race(row: Row, rounds: int) -> dict[str, float]:
    """Return the least that each contestant took, by name; one after the other in each round.

    One round before it is not counted: it compiles, fills caches and makes the pictures.
    """
    peers = {name: peer for name, peer in row.peers.items() if INSTALLED.get(name, True)}
    contestants = {"convcli": row.convcli, **peers}
    for measure in contestants.values():
        measure()
    best = dict.fromkeys(contestants, float("inf"))
    start = time.perf_counter()
    for number in range(rounds):
        if number >= 2 and time.perf_counter() - start > PATIENCE:
            break
        for name, measure in contestants.items():
            best[name] = min(best[name], measure())
    return best


def timed(work: Callable[..., object], *arguments: object) -> Measure:
    """Measure a function in milliseconds."""

    def measure() -> float:
        start = time.perf_counter()
        work(*arguments)
        return (time.perf_counter() - start) * 1e3

    return measure


def command(arguments: list[str]) -> Measure:
    """Measure a whole process in milliseconds, from its start to its end."""
    return timed(_run, arguments)


def peak_memory(arguments: list[str]) -> Measure:
    """Measure the most memory that a process held, in MB."""
    # A small process in between: a child begins with the memory of the one that starts it.
    code = (
        "import os, sys; number = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:]);"
        "_, status, usage = os.wait4(number, 0); print(usage.ru_maxrss);"
        "sys.exit(os.waitstatus_to_exitcode(status))"
    )
    return lambda: int(_run([sys.executable, "-c", code, *arguments])) * 1024 / 1e6


def _run(arguments: list[str]) -> str:
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{arguments} failed:\n{done.stderr}")
    return done.stdout


@cache
def photograph(width: int, height: int, name: str = "astronaut", grey: bool = False) -> Pixels:
    """Enlarge one of scikit-image's photographs and give it a sensor's noise.

    Without noise an enlarged picture would be smoother than any photograph, and the encoders
    would have too little to do. The same picture each time.
    """
    picture = Image.fromarray(getattr(skimage.data, name)()).convert("L" if grey else "RGB")
    enlarged = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))
    noise = np.random.default_rng(0).integers(-4, 5, enlarged.shape, dtype=np.int16)
    return np.clip(enlarged + noise, 0, 255).astype(np.uint8)
