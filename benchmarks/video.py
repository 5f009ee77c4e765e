"""Frames a second of 1080p video beside ffmpeg's own filters.

``python benchmarks/video.py`` prints a table. Both read y4m (4:2:0, 8 bits) from a file and write
it to /dev/null: ffmpeg's `gblur` and `convolution` with one thread for each core, and convcli.
gblur is an approximation by recursive filters, of 6 steps here; convcli's kernel is cut at 4 sigma.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run import machine

FRAMES, ROUNDS = 100, 3
SIZE = "1920x1080"
LAPLACIAN = "0 -1 0 -1 5 -1 0 -1 0"

WORK = {
    "blur sigma 2": ("blur --sigma 2", "gblur=sigma=2:steps=6"),
    "blur sigma 10": ("blur --sigma 10", "gblur=sigma=10:steps=6"),
    "3x3 kernel": (
        "filter --kernel '0 -1 0; -1 5 -1; 0 -1 0'",
        f"convolution='{LAPLACIAN}:{LAPLACIAN}:{LAPLACIAN}'",
    ),
    "Sobel edges": ("edge", "sobel"),
}
"""What convcli and ffmpeg do. (convcli leaves subsampled chroma to itself under any kernel.)"""


def cost(line: str, folder: Path) -> tuple[float, float]:
    """Return the time of the fastest of a few runs, and the least processor time, in seconds."""
    elapsed, used = [], []
    for _ in range(ROUNDS):
        before, start = os.times(), time.perf_counter()
        subprocess.run(["bash", "-c", line], cwd=folder, check=True)
        elapsed.append(time.perf_counter() - start)
        after = os.times()
        used.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
    return min(elapsed), min(used)


def main() -> None:
    """Print the table."""
    if not shutil.which("ffmpeg"):
        sys.exit("video.py: needs ffmpeg")
    print(*(f"- {line}" for line in machine()), sep="\n")
    print("\n| work | convcli | ffmpeg | convcli, processor time | ffmpeg, processor time |")
    print("|---|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        source = f"ffmpeg -v error -f lavfi -i testsrc2=size={SIZE}:rate=25 -frames:v {FRAMES}"
        subprocess.run(["bash", "-c", f"{source} clip.y4m"], cwd=folder, check=True)
        for work, (ours, theirs) in WORK.items():
            lines = (
                f"{sys.executable} -m convcli {ours} -q < clip.y4m > /dev/null",
                f'ffmpeg -v error -i clip.y4m -vf "{theirs}" -f yuv4mpegpipe -y /dev/null',
            )
            costs = [cost(line, folder) for line in lines]
            rates = [f"{FRAMES / elapsed:.1f} frames/s" for elapsed, _ in costs]
            each = [f"{1000 * used / FRAMES:.1f} ms a frame" for _, used in costs]
            print("|", " | ".join([work, *rates, *each]), "|", flush=True)


if __name__ == "__main__":
    main()
