"""Reading ahead: the first image is decoded while the rest of the program is imported."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from convcli.pools import REFUSED, has_room, start

if TYPE_CHECKING:
    from convcli.image import Picture

# Bytes that an image may take with its result; how large it is, is not known when reading begins.
_MOST = 1 << 30

Begun = Callable[[], tuple["Picture", float]]
"""Waits for an image whose reading has begun. Returns it and the seconds that reading took, or
raises the error of reading; can be called once."""


def begin(read: Callable[..., Picture]) -> Begun:
    """Read an image in a thread, and return as soon as its decoding has begun.

    Decoders release the interpreter lock, so that imports and decoding run at the same time. Where
    the system allows no thread, or little memory, the image is read when it is waited for.

    Parameters
    ----------
    read : callable
        ``read(on_decode=...)``: `convcli.image.read` with its other arguments bound.
    """
    images: list[tuple[Picture, float]] = []
    errors: list[BaseException] = []
    decoding = Event()

    def run() -> None:
        start = time.perf_counter()
        try:
            image = read(on_decode=lambda _size, _header: decoding.set())
            images.append((image, time.perf_counter() - start))
        except BaseException as error:
            errors.append(error)
        decoding.set()

    # A daemon thread does not delay the exit when an option turns out to be wrong.
    thread = Thread(target=run, daemon=True)
    has_begun = False
    with suppress(*REFUSED):
        if has_room(_MOST):
            start(thread)
            decoding.wait()  # imports would hold the interpreter lock, and it would not start
            has_begun = True

    def wait() -> tuple[Picture, float]:
        thread.join() if has_begun else run()
        if errors:
            raise errors.pop()
        return images.pop()  # so that the image is not held here as well

    return wait
