"""An image between reading and writing: pixels, and what has to survive filtering."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from convcli.pixels.padded import Padded
    from convcli.types import Pixels

Grey = Literal["L", "LA"]
"""What a filter turns colour into, if it gives grey: one channel, or one and the alpha."""

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
    "I": (1, "float64"),  # signed 32-bit integers; float64 holds them all
    "F": (1, "float32"),
}
"""The modes in which images are filtered: number of channels, dtype of the samples. The names
are Pillow's; ";16" is its suffix for 16 bits, which it has for grey alone."""

CONVERTED = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB",
             "YCbCr": "RGB", "HSV": "RGB"}  # fmt: skip
"""Modes that have no samples to filter, or that no format is written in, and the modes that they
are converted to. (Palettes depend on the image: see `convcli.image.decoding`.)"""

WITH_ALPHA = ("LA", "RGBA", "LA;16", "RGBA;16")


@dataclass(frozen=True)
class Picture:
    """An upright image and what has to survive filtering.

    Attributes
    ----------
    samples : ndarray (H, W) or (H, W, C), or Padded
        As `MODES` has them; RGB that Pillow decoded is `Padded`.
    mode : str
        A key of `MODES`.
    format : str
        Pillow's name of the format that the image was read from.
    metadata : dict
        As returned by `convcli.image.metadata.metadata_of`.
    encoding : dict
        How the file was compressed, to be kept in the same format: the quantisation tables and
        subsampling of a JPEG, whether a WebP was lossless, the compression of a TIFF.
    notes : tuple of str
        What reading changed and a user should know.
    frame : dict
        For a frame of an animation: duration in milliseconds and disposal; the first frame also
        has the number of plays (0: for ever).
    frames : int
        Number of frames or pages in the file.
    nodata : float, optional
        The value that stands for missing samples, if the file states one.
    later : iterable of Picture
        The frames or pages after this one, each read when it is asked for.
    """

    samples: Pixels | Padded
    mode: str
    format: str
    metadata: dict[str, Any] = field(default_factory=dict)
    encoding: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    frame: dict[str, Any] = field(default_factory=dict)
    frames: int = 1
    nodata: float | None = None
    later: Iterable[Picture] = ()

    @property
    def pixels(self) -> Pixels:
        """The samples as an array; of a `Padded` image a view."""
        import numpy as np

        return np.asarray(self.samples)

    def with_pixels(self, pixels: Pixels | Padded) -> Picture:
        """Return the image with these pixels and everything else unchanged."""
        form = (1 if pixels.ndim == 2 else pixels.shape[2], pixels.dtype.name)
        # CMYK and RGBA both have four bytes per pixel: the mode changes only if it has to.
        same = MODES[self.mode] == form
        mode = self.mode if same else next(mode for mode in MODES if MODES[mode] == form)
        return replace(self, samples=pixels, mode=mode)

    def all_frames(self) -> Iterator[Picture]:
        """Yield this frame and those after it."""
        yield self
        yield from self.later
