"""One large image: time and peak memory of convcli, libvips and dask-image on the same cores.

``python benchmarks/large.py --side 32768 --folder /dev/shm`` makes a grey TIFF and a zarr array of
a gigapixel, filters them, and prints a table in Markdown. Programs that are missing are left out.
The peak is that of the whole process, interpreter and packages included.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from race import photograph

TILE = 512

# The script for dask-image. It reads and writes the chunks of a zarr array.
DASK = """
import sys, dask.array as da, zarr
from dask_image.ndfilters import gaussian_filter
source, target, sigma = sys.argv[1], sys.argv[2], float(sys.argv[3])
array = da.from_zarr(source)
blurred = gaussian_filter(array, sigma, mode="reflect")
out = zarr.create_array(target, shape=array.shape, dtype=array.dtype, chunks=(512, 512))
da.store(blurred, out, lock=False)
"""


# The script for libvips. Its exact kernel is cut where a weight is below this share of the
# largest: at 3.7 sigma. It gives floats, which are rounded once.
VIPS = """
import sys, pyvips
source, target, sigma, exact = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4] == "exact"
image = pyvips.Image.new_from_file(source, access="sequential")
options = {"precision": "float", "min_ampl": 0.001} if exact else {}
blurred = image.gaussblur(sigma, **options)
blurred = blurred.rint().cast("uchar") if exact else blurred
blurred.tiffsave(target, tile=True, tile_width=512, tile_height=512, bigtiff=True)
"""


class Cost(NamedTuple):
    """Seconds, seconds of all cores together, and megabytes at the peak, of a process."""

    seconds: float
    cores: float
    megabytes: float


def tiles(side: int) -> Iterator[Any]:
    """Yield the tiles of an image: a photograph's, over and over, each turned another way."""
    photo = photograph(2048, 2048, grey=True)
    for row in range(side // TILE):
        for column in range(side // TILE):
            top, left = row * TILE % 2048, column * TILE % 2048
            tile = photo[top : top + TILE, left : left + TILE]
            yield np.ascontiguousarray(np.rot90(tile, row * 7 + column * 3))


def cost_of(command: list[str]) -> Cost:
    """Run a command, and measure it."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0.0
    while not (found := os.wait4(process.pid, os.WNOHANG))[0]:
        # That of `wait4` begins with the size of the process that has started it.
        text = Path(f"/proc/{process.pid}/status").read_text()
        if "VmHWM:" in text:
            peak = max(peak, int(text.partition("VmHWM:")[2].split()[0]) / 1024)
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    _, status, usage = found
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise SystemExit(f"{' '.join(command)[:200]} failed")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak)


def commands(folder: Path, sigma: float, memory: str) -> Iterator[tuple[str, list[str], Path]]:
    """Yield a name, a command, and the output of each program."""
    own = [sys.executable, "-m", "convcli", "blur", "--quiet", "-f", "--memory", memory]
    for kind in ("tif", "zarr"):
        source, target = folder / f"large.{kind}", folder / f"convcli.{kind}"
        command = [*own, str(source), "-o", str(target), "-s", str(sigma)]
        yield f"convcli, {kind}", command, target
    if find_spec("pyvips"):
        source, target = folder / "large.tif", folder / "vips.tif"
        vips = [sys.executable, "-c", VIPS, str(source), str(target), str(sigma)]
        for mode in ("exact", "default"):
            yield f"vips, {mode}", [*vips, mode], target
    if find_spec("dask_image"):
        source, target = folder / "large.zarr", folder / "dask.zarr"
        command = [sys.executable, "-c", DASK, str(source), str(target), str(sigma)]
        yield "dask-image, zarr", command, target


def processor() -> str:
    """Return the name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.processor()


def make(folder: Path, side: int) -> None:
    """Write the image as a TIFF and as a zarr array."""
    import zarr

    shape = (side, side)
    array = zarr.create_array(
        str(folder / "large.zarr"), shape=shape, dtype="uint8", chunks=(TILE, TILE), overwrite=True
    )
    across = side // TILE
    for number, tile in enumerate(tiles(side)):
        top, left = number // across * TILE, number % across * TILE
        array[top : top + TILE, left : left + TILE] = tile
    tifffile.imwrite(
        folder / "large.tif", tiles(side), shape=shape, dtype="uint8", tile=(TILE, TILE),
        bigtiff=True,
    )  # fmt: skip


def warm_up(folder: Path, sigmas: list[float]) -> None:
    """Let convcli compile its loops, which it does once."""
    small = folder / "small.npy"
    np.save(small, np.zeros((600, 600), np.uint8))
    for sigma in sigmas:
        command = ["blur", str(small), "-f", "-q", "-m", "numba", "-s", str(sigma)]
        subprocess.run([sys.executable, "-m", "convcli", *command], check=True)


def main() -> None:
    """Make the image, run the programs, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=32768, help="pixels of a side, times 512")
    parser.add_argument("--sigma", type=float, nargs="+", default=[3.0, 20.0])
    parser.add_argument("--memory", default="1G", help="what convcli may hold")
    parser.add_argument("--folder", type=Path, help="where the files are written")
    given = parser.parse_args()
    side = given.side // TILE * TILE
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        make(folder, side)
        warm_up(folder, given.sigma)
        print(f"{processor()}, {len(os.sched_getaffinity(0))} cores, {side} x {side} pixels\n")
        print("| program | sigma | time | of all cores | peak memory |\n|---|---|---|---|---|")
        for sigma in given.sigma:
            for program, command, target in commands(folder, sigma, given.memory):
                cost = cost_of(command)
                print(
                    f"| {program} | {sigma:g} | {cost.seconds:.1f} s | {cost.cores:.1f} s "
                    f"| {cost.megabytes:.0f} MB |",
                    flush=True,
                )
                shutil.rmtree(target) if target.is_dir() else target.unlink()


if __name__ == "__main__":
    main()
