"""What the package logs while it works, such as that it compiles, passed on to who watches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def notices(say: Callable[[str], None]) -> Iterator[None]:
    """Hand every message to `say`, as a line of the program's."""
    handler = logging.Handler()
    handler.emit = lambda record: say(f"convcli: {record.getMessage()}")  # type: ignore[method-assign]
    logger = logging.getLogger("convcli")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
