"""--memory holds for the whole process, by the peak that the system counts."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import repeat

import numpy as np
import pytest
from numpy.lib.format import open_memmap

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="Linux counts the peak"),
]

MAIN = """
import sys
from pathlib import Path
from convcli.cli import endings
from convcli.cli.program import main

def leave(status, own=endings.leave):
    lines = Path("/proc/self/status").read_text().splitlines()
    print(next(line for line in lines if "HWM" in line))
    own(status)

endings.leave = leave
sys.argv = ["convcli", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    leave(end.code)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A sparse array, a zarr array without chunks, and a TIFF of tiles that are all alike."""
    zarr, tifffile = pytest.importorskip("zarr"), pytest.importorskip("tifffile")
    folder = tmp_path_factory.mktemp("large")
    open_memmap(folder / "a.npy", "w+", np.uint8, (6200, 12000)).flush()
    zarr.create_array(folder / "a.zarr", shape=(1500, 12000), chunks=(512, 512), dtype="uint16")
    tifffile.imwrite(
        folder / "a.tif", repeat(np.full((512, 512), 7, np.uint8), 8 * 64), shape=(4096, 32768),
        dtype="uint8", tile=(512, 512), compression="adobe_deflate",
    )  # fmt: skip
    return folder


def peak_of(folder, memory, method, *argv):
    """Run the program; return its result, and its peak in MB."""
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *argv, "-f", "-m", method, "--memory", f"{memory}M"],
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done, int(done.stdout.split()[-2]) / 1024


def test_images_at_work_together_hold_no_more(folder):
    """What the first ones hold is not taken for the program's own."""
    names = [f"{number}.npy" for number in range(4)]
    for name in names:
        np.save(folder / name, np.full((4000, 4000, 3), 7, np.uint8))
    done, peak = peak_of(folder, 78, "numpy", "blur", *names, "-o", "out/", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert peak < 1.1 * 78, done.stderr


@pytest.mark.parametrize(
    ("name", "argv", "memory", "is_done"),
    [
        ("a.npy", ("blur", "--sigma", "20"), 130, True),
        ("a.npy", ("chain", "blur --sigma 3 | edge"), 200, True),
        ("a.tif", ("blur", "--sigma", "3"), 130, True),
        ("a.zarr", ("chain", "blur --sigma 3 | edge"), 150, True),
        ("a.npy", ("blur",), 50, False),
    ],
)
def test_the_peak_is_at_most_what_was_allowed(name, argv, memory, is_done, folder):
    done, peak = peak_of(folder, memory, "numpy", *argv, name, "-o", f"out{name[1:]}")
    assert (done.returncode == 0) == is_done, done.stderr
    assert is_done or "raise --memory" in done.stderr
    assert 30 < peak < 1.1 * memory, done.stderr
