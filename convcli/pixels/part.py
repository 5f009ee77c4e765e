"""Which part of an image is meant, as people write it: rectangles, and names of channels."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import index
from typing import Any, NamedTuple

from convcli.checks import described
from convcli.errors import ConvcliError

_RECTANGLE = re.compile(r"(\d{1,18})x(\d{1,18})\+(\d{1,18})\+(\d{1,18})", re.ASCII)

LUMA = "luma"
"""What stands for the luminance instead of names of channels."""

# Red, green, blue and alpha; cyan, magenta, yellow and black; lightness with a and b. Channels
# without a colour of their own are counted from 1.
_NAME = re.compile(r"[rgbalcmyk]|[1-9]\d{0,8}", re.ASCII)


# No list of them is longer; TIFF counts its bands in 16 bits.
_MOST_CHANNELS = 1 << 16


class Rectangle(NamedTuple):
    """A part of an image: its first row and the one after its last, and the same of columns."""

    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def at(self) -> tuple[slice, slice]:
        """What indexes it in an array."""
        return slice(*self.rows), slice(*self.columns)

    def __str__(self) -> str:
        (top, bottom), (left, right) = self
        return f"{right - left}x{bottom - top}+{left}+{top}"


def rectangle(text: Any, name: str = "region") -> Rectangle:
    """Read a rectangle: width, height, and how far it is from the left and from the top.

    >>> rectangle("20x10+3+4")
    Rectangle(rows=(4, 14), columns=(3, 23))
    """
    found = _RECTANGLE.fullmatch(text) if isinstance(text, str) else None
    width, height, left, top = map(int, found.groups()) if found else (0, 0, 0, 0)
    if not (width and height):
        raise ConvcliError(
            f"{name} must be WxH+X+Y, in pixels from the top left corner, such as 200x100+30+40, "
            f"not {described(text)}"
        )
    return Rectangle((top, top + height), (left, left + width))


def rectangles(region: Any) -> tuple[Rectangle, ...]:
    """Read one rectangle, or a sequence of them."""
    several = [region] if isinstance(region, str) else region
    if not isinstance(several, (list, tuple)):
        raise ConvcliError(
            f"region must be text such as '200x100+30+40', or a list of such, not "
            f"{described(region)}"
        )
    return tuple(rectangle(each) for each in several)


def check_inside(region: Rectangle, size: tuple[int, int]) -> None:
    """Refuse a rectangle that reaches beyond an image of so many rows and columns."""
    if region.rows[1] > size[0] or region.columns[1] > size[1]:
        raise ConvcliError(
            f"region {region} reaches beyond the image, which is {size[1]} x {size[0]} pixels"
        )


def check_all_inside(region: Any, size: tuple[int, int]) -> None:
    """Refuse regions of which one reaches beyond an image of so many rows and columns."""
    for each in rectangles(region):
        check_inside(each, size)


def check_either_way(
    check: Callable[[tuple[int, int]], None], size: tuple[int, int], may_turn: bool
) -> None:
    """Check the size of an image that is not decoded; one that may turn has to fail both ways."""
    try:
        check(size)
    except ConvcliError:
        if may_turn:
            with suppress(ConvcliError):
                check((size[1], size[0]))
                return
        raise


def channel_names(text: str, name: str = "channels") -> tuple[str, ...]:
    """Read "luma", or names of channels separated by commas.

    >>> channel_names("r,g"), channel_names("luma")
    (('r', 'g'), ('luma',))
    """
    names = tuple(word.strip().lower() for word in text.split(","))
    if names != (LUMA,) and not all(map(_NAME.fullmatch, names)):
        raise ConvcliError(
            f"{name} must be luma, or names of channels separated by commas, such as r,g,b,a or "
            f"1,2,5, not {described(text)}"
        )
    return names


def checked_channels(channels: Any) -> str | tuple[int, ...]:
    """Return which channels are named: a text, or their numbers from 0 on."""
    if isinstance(channels, str):
        channel_names(channels)
        return channels.strip().lower()
    try:
        numbers = tuple(map(index, channels)) if len(channels) <= _MOST_CHANNELS else ()
    except Exception:  # an iterator may raise what it likes
        numbers = ()
    if not numbers:
        raise ConvcliError(
            "channels must be True, False, 'luma', names such as 'r,g', or whole numbers such as "
            f"[0, 1], not {described(channels)}"
        )
    return numbers


def channel_numbers(text: str, own: Sequence[str]) -> tuple[int, ...]:
    """Return where the channels that a text names are among those that an image has.

    >>> channel_numbers("b,r", "rgb")
    (0, 2)
    """
    names = channel_names(text)
    for each in names:
        if each not in own:
            raise ConvcliError(
                f"channels is {text!r}, and the image has no channel {each}: it has {','.join(own)}"
            )
    return tuple(sorted({own.index(each) for each in names}))
