"""The options of a batch, fitted to an image: to its channels, light and missing samples."""

from __future__ import annotations

from typing import Any, NamedTuple

from convcli.errors import ConvcliError
from convcli.files.formats import meaning
from convcli.filtering.options import Options
from convcli.image.picture import WITH_ALPHA, form_of, kind_of
from convcli.pixels.missing import count_missing
from convcli.pixels.transfer import Transfer
from convcli.types import Pixels

# What may have sRGB code values, if it is integers.
_CODED = ("L", "LA", "RGB", "RGBA")


def fitted(options: Options, mode: str) -> Options:
    """Return the options for an image of this mode: `alpha` only matters where there is one."""
    if options.get("linear") and not (
        kind_of(mode) in _CODED and form_of(mode)[1] in ("uint8", "uint16")
    ):
        raise ConvcliError(
            f"has {meaning(mode)}, and --linear decodes sRGB code values; leave --linear out"
        )
    own = Options(**options)
    own["channels"] = True
    if isinstance(named := options.get("channels"), str):
        from convcli.batch import part

        own["channels"] = part.channels_of(named, mode)
    if mode not in WITH_ALPHA:
        own["alpha"] = "straight"
    return own


def light_of(metadata: dict[str, Any]) -> tuple[Transfer, str]:
    """Return how a file's code values become light, and the words for that and what states it."""
    from convcli.image import light

    transfer, said_by = light.stated(metadata)
    return transfer, f"{transfer.name}, by {said_by or 'default'}"


def decode(options: Options, transfer: Transfer) -> None:
    """Let the options decode light by a transfer function."""
    options["linear"] = transfer
    # Rounding in float32 shows where the inverse of a power is steep: up to a level near black.
    options["exact"] = options.get("exact", False) or not transfer.has_toe


class Missing(NamedTuple):
    """Which samples of an image are left out of every sum, beside NaN.

    Attributes
    ----------
    value : float or None
        Those of this value.
    has_alpha : bool
        The last channel is an alpha, of which every value means something.
    by_file : bool
        The value is not asked for, but stated by the file.
    """

    value: float | None
    has_alpha: bool
    by_file: bool

    def count(self, pixels: Pixels) -> int:
        """Return how many samples of a part of the image are left out."""
        return count_missing(pixels, self.value, self.has_alpha)

    def leave_out(self, options: Options, is_there: bool) -> tuple[str, ...]:
        """Let the options leave them out, and return notes; `is_there` says if there are any.

        A value that a file states, but no sample has, changes nothing.
        """
        options["nodata"] = self.value if is_there or not self.by_file else None
        is_noted = is_there and self.by_file
        return (f"left out its no-data value, {self.value:.10g}",) if is_noted else ()


def missing_of(options: Options, stated: float | None, mode: str) -> Missing | None:
    """Return which samples are left out of an image whose file states a no-data value, if any."""
    asked, nan = options.get("nodata"), options.get("nan")
    if nan == "keep" or (asked is None and nan is None and stated is None):
        return None
    has_alpha = mode in WITH_ALPHA and options["alpha"] != "straight"
    by_file = asked is None and stated is not None
    return Missing(stated if by_file else asked, has_alpha, by_file)
