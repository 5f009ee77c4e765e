"""What is done beside the decoding of the first picture, which leaves the interpreter free."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convcli.image import OnShape, Picture
    from convcli.planning import Plan
    from convcli.types import Options, Pixels


def begin(
    read: Callable[[OnShape], Picture],
) -> tuple[tuple[int, ...] | None, Callable[[], Picture]]:
    """Read a picture in a thread, and come back as soon as its decoding has begun.

    Parameters
    ----------
    read : callable
        ``read(on_shape)``: `convcli.image.read`, with its other arguments bound.

    Returns
    -------
    shape : tuple of int, or None
        Shape that its pixels will have; None if it cannot be read.
    picture : callable
        Waits for the picture and returns it, or raises what reading raised; once.
    """
    shapes: list[tuple[int, ...]] = []
    pictures: list[Picture] = []
    errors: list[BaseException] = []
    known = Event()

    def on_shape(shape: tuple[int, ...]) -> None:
        shapes.append(shape)
        known.set()

    def run() -> None:
        try:
            pictures.append(read(on_shape))
        except BaseException as error:
            errors.append(error)
        known.set()

    # A daemon, so that a wrong option is refused at once.
    thread = Thread(target=run, daemon=True)
    thread.start()
    known.wait()  # imports would keep the interpreter from it

    def picture() -> Picture:
        thread.join()
        if errors:
            raise errors.pop()
        return pictures.pop()

    return (shapes[0] if shapes else None), picture


class _PlanKnownError(Exception):
    """Ends a filter before it touches a pixel."""


# As many pixels as make a plan take the passes that it takes for a large picture.
_SMALL = (64, 64)


def warm_up(verb: Callable[..., Pixels], shape: tuple[int, ...] | None, options: Options) -> None:
    """Load the compiled loops, if the plan for an 8-bit picture of this shape uses them.

    None is a shape that is not known. What goes wrong is said when the picture itself is
    filtered.
    """
    if shape is None:
        return

    import numpy as np

    plans: list[Plan] = []

    def stop(plan: Plan) -> None:
        plans.append(plan)
        raise _PlanKnownError

    with suppress(Exception):
        verb(np.zeros(shape, np.uint8), **options, on_plan=stop)  # zeros that nobody reads
    if plans and plans[0].method == "numba":
        with suppress(Exception):
            verb(np.zeros((*_SMALL, *shape[2:]), np.uint8), **{**options, "method": "numba"})
