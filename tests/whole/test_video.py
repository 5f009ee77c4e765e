"""A video through ffmpeg, as docs/video.md has it; for machines that have ffmpeg."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

# Filtered out where ffmpeg is missing, and not skipped.
PIPES = {
    "y4m": ("-f yuv4mpegpipe -strict -1", "", 0.51),
    "ppm": ("-f image2pipe -c:v ppm", "-f image2pipe -c:v ppm", 0.51),
    "pam": ("-f image2pipe -c:v pam -pix_fmt rgb24", "-f image2pipe -c:v pam", 0.51),
    "16-bit": ("-f image2pipe -c:v ppm -pix_fmt rgb48be", "-f image2pipe -c:v ppm", 0.51),
} if shutil.which("ffmpeg") else {}  # fmt: skip

SIZE, COUNT = (96, 128), 12
MAKES = f"ffmpeg -v error -f lavfi -i testsrc2=size={SIZE[1]}x{SIZE[0]}:rate=25 -frames:v {COUNT}"


@pytest.mark.parametrize("pipe", PIPES)
def test_a_video_goes_through_as_it_came(pipe):
    """Blurred planes are those that scipy makes of ffmpeg's own, frame by frame."""
    out, into, most = PIPES[pipe]
    form = {"y4m": "yuv444p", "16-bit": "rgb48le"}.get(pipe, "rgb24")
    source = f"{MAKES} -pix_fmt {form} {out} -"
    raw = f"-f rawvideo -pix_fmt {form} -"
    convcli = f"{sys.executable} -m convcli blur --sigma 1.5"
    given, got = (
        subprocess.run(["bash", "-o", "pipefail", "-c", line], check=True, capture_output=True)
        for line in (
            f"{source} | ffmpeg -v error {into} -i - {raw}",
            f"{source} | {convcli} | ffmpeg -v error {into} -i - {raw}",
        )
    )
    assert (given.stderr, got.stderr) == (b"", b"")
    dtype = "<u2" if pipe == "16-bit" else "u1"
    shape = (COUNT, 3, *SIZE) if pipe == "y4m" else (COUNT, *SIZE, 3)
    before, after = (np.frombuffer(done.stdout, dtype).reshape(shape) for done in (given, got))
    sigma = (0, 0, 1.5, 1.5) if pipe == "y4m" else (0, 1.5, 1.5, 0)
    wanted = ndimage.gaussian_filter(before.astype(float), sigma, mode="reflect")
    np.testing.assert_allclose(after, wanted, atol=most)
