"""An image between reading and writing: pixels, and what has to survive filtering."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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

SAMPLES = {";8": "uint8", ";16": "uint16", ";16S": "float32", ";32F": "float32", ";64F": "float64"}
"""Other modes end in one of these, for the dtype of their samples; ";16S" is for signed integers of
16 bits. Before it stands L, LA, RGB, RGBA, Y (of video in planes), or a number of channels of which
no colours are known: "RGB;32F", "5;16"."""

_SUFFIXES = {dtype: suffix for suffix, dtype in SAMPLES.items() if suffix != ";16S"}

_LETTERS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "Y": 1}

# Modes that have names of their own.
_NAMED = {"L;8": "L", "LA;8": "LA", "RGB;8": "RGB", "RGBA;8": "RGBA", "L;16": "I;16", "L;32F": "F"}

_PARTS = {name: parts for parts, name in _NAMED.items()}

# What modes are called in messages: their kind, and their samples.
_KINDS_IN_WORDS = {"L": "grey", "LA": "grey with alpha", "Y": "grey", "I": "32-bit grey"}
_SAMPLES_IN_WORDS = {"16": "16-bit ", "16S": "signed 16-bit ", "32F": "float32 ", "64F": "float64 "}

WITH_ALPHA = tuple(kind + suffix for kind in ("LA", "RGBA") for suffix in ("", *SAMPLES))


def form_of(mode: str) -> tuple[int, str]:
    """Return the number of channels of a mode, and the dtype of its samples.

    >>> form_of("RGB"), form_of("5;16")
    ((3, 'uint8'), (5, 'uint16'))
    """
    if mode in MODES:
        return MODES[mode]
    kind, _, suffix = mode.partition(";")
    return _LETTERS.get(kind) or int(kind), SAMPLES[f";{suffix}"]


def named(kind: str, suffix: str) -> str:
    """Return the mode of a kind (L, LA, RGB, RGBA or a number of channels) and its samples.

    >>> named("L", ";16"), named("RGB", ";32F")
    ('I;16', 'RGB;32F')
    """
    return _NAMED.get(kind + suffix, kind + suffix)


def kind_of(mode: str) -> str:
    """Return a mode without the kind of its samples.

    >>> kind_of("RGB;16"), kind_of("I;16"), kind_of("F"), kind_of("CMYK")
    ('RGB', 'L', 'L', 'CMYK')
    """
    kind = mode.partition(";")[0]
    return "L" if kind in ("I", "F") else kind


def in_words(mode: str) -> str:
    """Return what a mode is called in messages.

    >>> in_words("L"), in_words("RGB"), in_words("I;16"), in_words("5;32F")
    ('grey', 'RGB', '16-bit grey', 'float32 5-channel')
    """
    kind, _, samples = _PARTS.get(mode, mode).partition(";")
    kind = f"{kind}-channel" if kind.isdecimal() else _KINDS_IN_WORDS.get(kind, kind)
    return _SAMPLES_IN_WORDS.get(samples, "") + kind


def suffix_of(mode: str) -> str:
    """Return the suffix that stands for the samples of a mode.

    >>> suffix_of("RGB"), suffix_of("I;16"), suffix_of("5;16S")
    (';8', ';16', ';16S')
    """
    return ";16S" if mode.endswith(";16S") else _SUFFIXES[form_of(mode)[1]]


def as_floats(mode: str) -> str:
    """Return the mode of float32 samples, if those of a mode are held so and stored as integers.

    >>> as_floats("5;16S"), as_floats("RGB")
    ('5;32F', 'RGB')
    """
    return named(kind_of(mode), ";32F") if mode.endswith(";16S") else mode


def mode_of(channels: int, dtype: str, like: str = "L") -> str:
    """Return the mode of so many channels, whose colours are those of another mode if it has them.

    >>> mode_of(2, "uint8"), mode_of(3, "float64"), mode_of(5, "float32", like="5;16S")
    ('LA', 'RGB;64F', '5;16S')
    """
    if form_of(like) == (channels, dtype):
        return like
    kind = kind_of(like)
    if form_of(like)[0] != channels or kind in ("CMYK", "LAB"):
        kind = next((name for name, count in _LETTERS.items() if count == channels), str(channels))
    return named(kind, _SUFFIXES[dtype])


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
    bands : callable, optional
        ``bands()`` yields all samples in bands of rows, where these are still being computed. Until
        then only the shape and dtype of `samples` are known.
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
    bands: Callable[[], Iterable[Pixels]] | None = None

    @property
    def pixels(self) -> Pixels:
        """The samples as an array; of a `Padded` image a view."""
        import numpy as np

        return np.asarray(self.samples)

    def with_pixels(self, pixels: Pixels | Padded) -> Picture:
        """Return the image with these pixels and everything else unchanged."""
        form = (1 if pixels.ndim == 2 else pixels.shape[2], pixels.dtype.name)
        # CMYK and RGBA both have four bytes per pixel: the mode changes only if it has to.
        mode = self.mode if form_of(self.mode) == form else mode_of(*form, like=self.mode)
        return replace(self, samples=pixels, mode=mode)

    def all_frames(self) -> Iterator[Picture]:
        """Yield this frame and those after it."""
        yield self
        yield from self.later
