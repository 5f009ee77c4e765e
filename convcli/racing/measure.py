"""What is measured of one run of a contender: its seconds, and the most memory that it holds."""

from __future__ import annotations

import time
import tracemalloc

from convcli.kernels.kernel import Kernel
from convcli.racing.contenders import Contender
from convcli.types import Pixels


def seconds_of(contender: Contender, picture: Pixels, kernel: Kernel) -> float:
    """Run once and return the seconds that it took."""
    start = time.perf_counter()
    contender.work(picture, kernel)
    return time.perf_counter() - start


def memory_of(contender: Contender, picture: Pixels, kernel: Kernel) -> tuple[int, Pixels]:
    """Run once; return the most bytes held beyond the input and the output, and the output."""
    tracemalloc.start()
    try:
        output = contender.work(picture, kernel)
        return max(0, tracemalloc.get_traced_memory()[1] - output.nbytes), output
    finally:
        tracemalloc.stop()
