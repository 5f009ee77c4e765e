"""The start of the program: when it was, and what is done while modules are loaded."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

# Python itself has run for about 15 ms by then.
STARTED = perf_counter()


@contextmanager
def loading() -> Iterator[None]:
    """Collect no garbage while modules are loaded: what they make stays.

    The collector would go over it again and again: 5 of 48 ms until an option is read, and 3 more
    while numpy is imported (Intel Xeon with AMX).
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # or it would go over all of it now
        gc.enable()
