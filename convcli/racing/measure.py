"""What is measured of one run of a contender: its seconds, and the most memory that it holds."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

from convcli.racing.contenders import Contender
from convcli.types import Pixels


def seconds_of(contender: Contender, picture: Pixels, kernel: Any) -> float:
    """Run once and return the seconds that it took."""
    given = contender.laid_out(picture)
    start = time.perf_counter()
    contender.work(given, kernel)
    return time.perf_counter() - start


def memory_of(contender: Contender, picture: Pixels, kernel: Any) -> tuple[int, Pixels]:
    """Run once; return the most bytes held beyond the input and the output, and the output."""
    given = contender.laid_out(picture)
    tracemalloc.start()
    try:
        output = contender.work(given, kernel)
        return max(0, tracemalloc.get_traced_memory()[1] - output.nbytes), output
    finally:
        tracemalloc.stop()
