"""Each method beside OpenCV's GaussianBlur: a 24-megapixel RGB photograph, sigma 3, the same taps.

Array to array, best of several rounds, one contender after the other in each round; then the
peak memory of a whole `convcli blur` process, JPEG to JPEG. Needs the `bench` extra::

    python benchmarks/versus_opencv.py [rounds]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from PIL import Image

import convcli
from convcli.planning import PRESETS
from convcli.types import Pixels

SIGMA, RADIUS, BORDER = 3.0, 12, cv2.BORDER_REFLECT


def photograph() -> Pixels:
    """Enlarge a photograph of scikit-image's to 24 megapixels and give it a sensor's noise."""
    size = (6000, 4000)
    enlarged = Image.fromarray(skimage.data.astronaut()).resize(size, Image.Resampling.LANCZOS)
    noise = np.random.default_rng(0).integers(-4, 5, (size[1], size[0], 3))
    return np.clip(np.asarray(enlarged) + noise, 0, 255).astype(np.uint8)


def race(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the shortest time of each, round robin, after a warm-up outside the clock."""
    best = dict.fromkeys(contenders, float("inf"))
    for work in contenders.values():
        work()
    for _ in range(rounds):
        for name, work in contenders.items():
            start = time.perf_counter()
            work()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def peak_memory(arguments: list[str]) -> float:
    """Run a program and return the most memory that it held, in MB."""
    # A small process in between: a child begins with the memory of the one that forks it.
    code = (
        "import os, sys; number = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:]);"
        "_, status, usage = os.wait4(number, 0); print(status, usage.ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    status, kilobytes = done.stdout.split()
    assert status == "0", done.stderr
    return int(kilobytes) * 1024 / 1e6


def main() -> None:
    """Print a table of both."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    image = photograph()
    size = (2 * RADIUS + 1, 2 * RADIUS + 1)
    contenders: dict[str, Callable[[], Any]] = {
        "OpenCV": partial(cv2.GaussianBlur, image, size, SIGMA, borderType=BORDER)
    }
    for method in PRESETS:
        contenders[method] = partial(convcli.blur, image, SIGMA, method=method)
    best = race(contenders, rounds)
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder, "photo.jpg")
        Image.fromarray(image).save(photo, quality=92)
        blur = [sys.executable, "-m", "convcli", "blur", str(photo), "--sigma", "3", "-f", "-m"]
        memory = {method: peak_memory([*blur, method]) for method in PRESETS}
    raw = image.nbytes / 1e6
    print(f"OpenCV {cv2.__version__}, {os.cpu_count()} cores, raw pixels {raw:.0f} MB")
    print("| | ms | times OpenCV | peak MB of the process |\n|---|---|---|---|")
    for name, seconds in best.items():
        ratio = seconds / best["OpenCV"]
        peak = f"{memory[name]:.0f}" if name in memory else ""
        print(f"| {name} | {seconds * 1e3:.0f} | {ratio:.2f} | {peak} |")


if __name__ == "__main__":
    main()
