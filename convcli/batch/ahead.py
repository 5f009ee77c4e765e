"""Reading ahead: the first picture is decoded while the rest of the program is imported."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convcli.image import Picture


def begin(
    read: Callable[..., Picture],
) -> Callable[[], tuple[Picture, float]]:
    """Read a picture in a thread, and come back as soon as its decoding has begun.

    Decoders leave the interpreter free, so that the imports cost nothing that has to be waited
    for.

    Parameters
    ----------
    read : callable
        ``read(on_decode=...)``: `convcli.image.read`, with its other arguments bound.

    Returns
    -------
    callable
        Waits for the picture and returns it and the seconds that reading took, or raises what
        reading raised; once.
    """
    pictures: list[tuple[Picture, float]] = []
    errors: list[BaseException] = []
    known = Event()

    def run() -> None:
        start = time.perf_counter()
        try:
            picture = read(on_decode=lambda _size: known.set())
            pictures.append((picture, time.perf_counter() - start))
        except BaseException as error:
            errors.append(error)
        known.set()

    # A daemon, so that a wrong option is refused at once.
    thread = Thread(target=run, daemon=True)
    thread.start()
    known.wait()  # imports would keep the interpreter from it

    def picture() -> tuple[Picture, float]:
        thread.join()
        if errors:
            raise errors.pop()
        return pictures.pop()

    return picture
