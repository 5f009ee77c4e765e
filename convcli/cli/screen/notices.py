"""The package's log messages, such as that loops are being compiled, printed as lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from convcli.cli.screen.lines import note


@contextmanager
def notices(say: Callable[[str], None]) -> Iterator[None]:
    """Pass each message to `say`, as a note."""
    handler = logging.Handler()
    handler.emit = lambda record: say(note(record.getMessage()))  # type: ignore[method-assign]
    logger = logging.getLogger("convcli")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
