"""Which channels of an image are filtered, and where their results belong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convcli.checks import described
from convcli.errors import ConvcliError
from convcli.filtering.filter import Filter
from convcli.filtering.luma import Luma
from convcli.filtering.options import Options
from convcli.pixels.part import LUMA, channel_numbers
from convcli.pixels.source import Source
from convcli.types import Pixels


def is_grey(filter_: Filter) -> bool:
    """Whether a filter makes one channel of all colours."""
    return filter_.use.channels == "luminance"


@dataclass(frozen=True)
class Chosen:
    """Which channels are filtered.

    Attributes
    ----------
    given : list of int, optional
        The channels that the filter gets; without it all.
    results : list of int
        The channels of its result that are used.
    targets : list of int
        Where each belongs in the image.
    luma : Luma, optional
        Filters the luminance instead.
    weighted : bool
        All channels are filtered, the colours weighted by the alpha, which is the last.
    """

    given: list[int] | None
    results: list[int]
    targets: list[int]
    luma: Luma | None = None
    weighted: bool = False


def chosen_for(source: Source, filters: Sequence[Filter], asked: Options) -> Chosen:
    """Choose the channels that the filter gets, and those of its result that are used."""
    count, wanted = source.shape[2], asked["channels"]
    colours = [*range(count - (count in (2, 4)))]
    every = [*range(count)]
    if any(map(is_grey, filters)):
        return Chosen(None, [0] * len(colours), colours)
    has_alpha = count in (2, 4) and asked["alpha"] != "straight"
    is_weighted = has_alpha and asked["alpha"] == "weight"
    if isinstance(wanted, bool):
        return Chosen(None, every, every, weighted=is_weighted)
    if wanted == LUMA and len(colours) == 1:
        wanted = (0,)
    if wanted == LUMA:
        if count > _MOST:
            raise ConvcliError(f"channels is 'luma', and an image of {count} channels has none")
        return Chosen(None, colours, colours, Luma(count, source.dtype, asked))
    numbers = _numbers(wanted, count)
    if has_alpha and asked["alpha"] == "keep" and numbers == [count - 1]:
        raise ConvcliError(
            "channels names the alpha alone, which alpha='keep' (--alpha keep) leaves as it is; "
            "choose another of them"
        )
    if has_alpha:  # what an alpha does to the others
        return Chosen(None, numbers, numbers)
    return Chosen(numbers, [*range(len(numbers))], numbers)


# The most channels of an image that has colours, and the names of the channels by their number.
_MOST = 4
_NAMES = {1: "l", 2: "la", 3: "rgb", 4: "rgba"}


def _numbers(wanted: Any, count: int) -> list[int]:
    if isinstance(wanted, str):
        own = _NAMES.get(count) or [str(number) for number in range(1, count + 1)]
        return [*channel_numbers(wanted, own)]
    if not all(0 <= each < count for each in wanted):
        raise ConvcliError(
            f"channels is {described(wanted)}, and the image has the channels 0 to {count - 1}"
        )
    return sorted(set(wanted))


def taken(image: Pixels, channels: list[int]) -> Pixels:
    """Return some channels of an image; neighbours are a view, which takes no time."""
    first, end = channels[0], channels[-1] + 1
    is_run = channels == [*range(first, end)]
    return image[..., first:end] if is_run else image[..., channels]
