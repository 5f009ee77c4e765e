"""The parts of run.py's tables: rows of contenders, the race, and the photographs."""

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

# After this many seconds a row ends with its second round: the whole run stays below ten minutes
# on two cores, and work that takes seconds varies little.
PATIENCE = 6.0

# Debian's name for ImageMagick 6; elsewhere the program is called `convert`.
IMAGEMAGICK = "convert-im6" if shutil.which("convert-im6") else "convert"

PROGRAMS = {
    "ImageMagick": [IMAGEMAGICK, "-version"],
    "GraphicsMagick": ["gm", "version"],
    "vips": ["vips", "--version"],
}
"""The commands that print the version of each peer program."""


def starts(arguments: list[str]) -> bool:
    """Return whether a program can be run; one that is broken counts as missing."""
    try:
        return not subprocess.run(
            arguments, stdin=subprocess.DEVNULL, capture_output=True, check=False
        ).returncode
    except OSError:
        return False


INSTALLED = {
    "OpenCV": find_spec("cv2") is not None,
    **{name: starts(arguments) for name, arguments in PROGRAMS.items()},
}
"""The peers that may be missing. The others (convcli at other work, Python) are always there."""


@dataclass(frozen=True)
class Row:
    """One piece of work, as done by convcli and its peers."""

    work: str
    convcli: Measure
    peers: dict[str, Measure] = field(default_factory=dict)
    unit: str = "ms"


def race(row: Row, rounds: int) -> dict[str, float]:
    """Return the lowest cost of each contender by name; in each round they take turns.

    A warm-up round is not counted: it compiles, fills caches and makes the images.
    """
    peers = {name: peer for name, peer in row.peers.items() if INSTALLED.get(name, True)}
    contenders = {"convcli": row.convcli, **peers}
    for measure in contenders.values():
        measure()
    best = dict.fromkeys(contenders, float("inf"))
    start = time.perf_counter()
    for number in range(rounds):
        if number >= 2 and time.perf_counter() - start > PATIENCE:
            break
        for name, measure in contenders.items():
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
    """Measure the peak memory of a process in MB."""
    # A small process in between, because a child's peak starts at the memory of its parent.
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

    Without noise an enlarged image would be smoother than any photograph, and too easy to
    encode. Every call returns the same image.
    """
    image = Image.fromarray(getattr(skimage.data, name)()).convert("L" if grey else "RGB")
    enlarged = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    noise = np.random.default_rng(0).integers(-4, 5, enlarged.shape, dtype=np.int16)
    return np.clip(enlarged + noise, 0, 255).astype(np.uint8)
