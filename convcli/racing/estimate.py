"""What a run is expected to take before it is measured: by its plan, or by runs on small images."""

from __future__ import annotations

from typing import Any, NamedTuple

from convcli.racing.contenders import Contender
from convcli.racing.measure import memory_of, seconds_of
from convcli.types import Pixels

# A contender is timed on a smaller image only while its run takes this many times its start-up,
# as worker processes have one: start-up of a tenth makes the extrapolated time a tenth too long.
_STARTS = 10
# Runs shorter than this are mostly Python's calls; however small the budget, they tell nothing.
_LEAST_SECONDS = 0.005
# Times are scaled from no fewer pixels than this: those of a few are mostly halo and calls.
LEAST_PIXELS = 1000
# Probes grow until they take this long, where the clock and other processes disturb little.
_PROBE_SECONDS = 0.002
# A probe that takes this long is not repeated.
_LONG_PROBE = 0.1
# A contender that takes this long for a single pixel is not probed any further.
_LONGEST_PROBE = 0.5


class Estimate(NamedTuple):
    """What a contender is expected to take for an image with some number of pixels."""

    start_up: float
    seconds_a_pixel: float
    bytes_a_pixel: float = 0.0

    def seconds(self, pixels: int) -> float:
        """Return the expected time."""
        return self.start_up + self.seconds_a_pixel * pixels

    def affordable(self, pixels: int, seconds: float, most_bytes: float) -> int:
        """Halve the pixels until time and memory suffice, or start-up is much of the time.

        At least `LEAST_PIXELS` remain, or all there are.
        """
        enough = max(seconds, _STARTS * self.start_up, _LEAST_SECONDS)
        while pixels > LEAST_PIXELS and (
            self.seconds(pixels) > enough or self.bytes_a_pixel * pixels > most_bytes
        ):
            pixels = max(pixels // 2, LEAST_PIXELS)
        return pixels


def planned(contender: Contender, picture: Pixels, kernel: Any) -> Estimate:
    """Estimate from the plans for the image and for a single pixel."""
    assert contender.plan is not None
    whole = contender.plan(picture.shape, picture.dtype, kernel).seconds
    start_up = contender.plan((1, 1, picture.shape[2]), picture.dtype, kernel).seconds
    pixels = picture.shape[0] * picture.shape[1]
    return Estimate(start_up, max(0.0, whole - start_up) / pixels)


def probed(contender: Contender, picture: Pixels, kernel: Any) -> Estimate:
    """Estimate from runs on 1, 4, 16... pixels, until one takes long and longer than the last."""
    pixels, seconds = [0], [0.0]
    side = 1
    while pixels[-1] < picture.shape[0] * picture.shape[1] and (
        len(seconds) < 3 or seconds[-1] < _PROBE_SECONDS or seconds[-1] <= seconds[-2]
    ):
        # The first tells start-up from pixels only together with a second.
        if seconds[-1] > (_LONG_PROBE if len(seconds) > 2 else _LONGEST_PROBE):
            break
        piece = picture[:side, :side].copy()
        spent = seconds_of(contender, piece, kernel)
        if spent < _LONG_PROBE:
            # The better of two: another process may have slowed down one of them.
            spent = min(spent, seconds_of(contender, piece, kernel))
        seconds.append(spent)
        pixels.append(piece.shape[0] * piece.shape[1])
        side *= 2
    # A slow contender gets an image so small that its memory does not matter.
    is_traced = contender.memory_is_seen and seconds[-1] < _LONG_PROBE
    held = memory_of(contender, piece, kernel)[0] if is_traced else 0
    a_pixel = max(0.0, (seconds[-1] - seconds[-2]) / (pixels[-1] - pixels[-2]))
    start_up = max(0.0, seconds[-1] - a_pixel * pixels[-1])
    return Estimate(start_up, a_pixel, held / pixels[-1])
