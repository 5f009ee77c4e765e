"""A picture between reading and writing: pixels, and what has to survive filtering."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from convcli.pixels.padded import Padded
    from convcli.types import Pixels

Grey = Literal["L", "LA"]
"""What a filter makes of colour, if it makes grey of it: one channel, or one and an alpha."""

MODES = {
    "L": (1, "uint8"),
    "LA": (2, "uint8"),
    "RGB": (3, "uint8"),
    "RGBA": (4, "uint8"),
    "CMYK": (4, "uint8"),
    "LAB": (3, "uint8"),
    "I;16": (1, "uint16"),
    "LA;16": (2, "uint16"),
    "RGB;16": (3, "uint16"),
    "RGBA;16": (4, "uint16"),
    "I": (1, "float64"),  # of 32 bits, signed; float64 holds them all
    "F": (1, "float32"),
}
"""The modes in which pictures are filtered: channels, and the dtype of their samples. The
words are Pillow's; ";16" is its way to say 16 bits, which it has for grey alone."""

WITH_ALPHA = ("LA", "RGBA", "LA;16", "RGBA;16")


@dataclass(frozen=True)
class Picture:
    """An upright picture and what has to survive filtering.

    Attributes
    ----------
    samples : ndarray (H, W) or (H, W, C), or Padded
        As `MODES` has them; RGB that Pillow decoded is `Padded`.
    mode : str
        A key of `MODES`.
    format : str
        Pillow's name of the format that it was read from.
    metadata : dict
        What `convcli.image.metadata` found.
    encoding : dict
        How it was compressed, which is kept in its own format: a JPEG's quantisation tables and
        subsampling, whether a WebP was lossless, what a TIFF's samples were packed by.
    notes : tuple of str
        What was changed on the way in and a user should know.
    frame : dict
        Of an animation's frame: duration in milliseconds, disposal; of the first also loop.
    frames : int
        How many frames or pages the file has.
    later : iterable of Picture
        The frames or pages that follow, each of which is read when it is asked for.
    """

    samples: Pixels | Padded
    mode: str
    format: str
    metadata: dict[str, Any] = field(default_factory=dict)
    encoding: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    frame: dict[str, Any] = field(default_factory=dict)
    frames: int = 1
    later: Iterable[Picture] = ()

    @property
    def pixels(self) -> Pixels:
        """The samples as an array; of a `Padded` image a view."""
        import numpy as np

        return np.asarray(self.samples)

    def with_pixels(self, pixels: Pixels | Padded) -> Picture:
        """Return a picture with these pixels and everything else as it was."""
        form = (1 if pixels.ndim == 2 else pixels.shape[2], pixels.dtype.name)
        # Colours may have become grey, which CMYK and RGBA, of four bytes both, do not tell.
        same = MODES[self.mode] == form
        mode = self.mode if same else next(mode for mode in MODES if MODES[mode] == form)
        return replace(self, samples=pixels, mode=mode)
