"""Decoding one frame of an opened file into upright pixels and what has to survive filtering."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image, ImageFile
from PIL.ExifTags import Base as Tag

from convcli.errors import ConvcliError
from convcli.files import formats
from convcli.files.formats import mode_for
from convcli.image import deep, transparent_colour
from convcli.image.buffers import copy_of, share
from convcli.image.headers import (
    encoding_of,
    format_of_file,
    frame_settings,
    has_luma,
    is_turned_when_loaded,
)
from convcli.image.held import Held
from convcli.image.metadata import metadata_of, read_tiff_tags
from convcli.image.notes import conversion_notes, depth_notes
from convcli.image.picture import (
    CONVERTED,
    MODES,
    WITH_ALPHA,
    Grey,
    Picture,
    kind_of,
    named,
    suffix_of,
)
from convcli.image.refusals import refusals
from convcli.words import Depth

if TYPE_CHECKING:
    from convcli.types import Pixels

# Bytes that a decoder gets at a time: most photographs whole. After each block, of 64 kB by
# default, it waits for the interpreter.
_BLOCK = 1 << 24

_SUFFIXES: dict[Depth, str] = {"8": ";8", "16": ";16", "float32": ";32F"}


class Wanted(NamedTuple):
    """What `convcli.image.read` wants of every frame, and what it knows about the file.

    Attributes
    ----------
    source, format, grey, luma, depth
        As for `convcli.image.read`; the format is known.
    alone : bool
        The file has a single frame.
    canvas : (int, int) or None
        Size of all frames of an animation; None for single images, and for pages, whose sizes
        may differ.
    lossless : bool
        The file is a WebP whose first frame is lossless.
    bits : int
        Bits per channel of an AVIF; 8 for any other file.
    held : Held
        What the file holds besides what Pillow reads; noted with the first frame.
    """

    source: Path | bytes
    format: str
    grey: Grey | None
    luma: bool
    alone: bool
    canvas: tuple[int, int] | None
    lossless: bool
    bits: int
    held: Held
    depth: Depth | None = None


class Reading(NamedTuple):
    """How to read a frame.

    Attributes
    ----------
    mode : str
        Mode of the result, a key of `convcli.image.picture.MODES`. Pillow converts to it.
    deep_mode : str or None
        Mode in which `convcli.image.deep` decodes the samples, as Pillow would reduce them to 8
        bits; None if Pillow decodes them.
    in_place : bool
        Pillow may decode straight into memory of ours.
    """

    mode: str
    deep_mode: str | None
    in_place: bool

    @property
    def keeps_16_bits(self) -> bool:
        """Whether the result has the 16 bits that Pillow would not keep."""
        return self.deep_mode == self.mode


def decoded(file: Image.Image, wanted: Wanted, composed: Image.Image | None = None) -> Picture:
    """Decode the current frame of an opened file, or take `composed` for what it shows."""
    if wanted.luma and wanted.alone and has_luma(file):
        file.draft("L", None)  # no size: it is not scaled
    reading = _chosen(file, wanted)
    notes = depth_notes(file, reading.keeps_16_bits, wanted.bits)
    turned = is_turned_when_loaded(file)
    if file.format == "TIFF":
        read_tiff_tags(file)
    shared = share(file) if reading.in_place else None
    deep_pixels = _loaded(file, reading, wanted.source)

    image, mode = file, reading.mode
    if composed:
        image, mode = composed, composed.mode
    elif not wanted.alone and isinstance(file, ImageFile.ImageFile):
        image = file.copy()  # decoding the next frame starts from the file's own
    if file.info.get("cropped"):
        notes.append("cropped a frame that extends beyond the image")
    described = None if wanted.grey else mode
    metadata, dropped = metadata_of(image, file, described, wanted.held, turned)
    notes += [*dropped, *conversion_notes(image, file, mode)]

    samples: Any = deep_pixels  # an array or, of RGB that Pillow decoded, `Padded`
    if samples is None:
        image = _converted(image, mode, wanted.source)
        if shared and not shared.holds(image):
            shared = None  # frees the memory: the upright image takes as much again
        samples = shared.pixels() if shared else copy_of(image)
        if mode == "LA;16":
            samples = transparent_colour.with_alpha(samples, image.info["transparency"])
    encoding = encoding_of(file, wanted.lossless)
    frame = {} if wanted.alone else frame_settings(composed or file)
    return Picture(samples, mode, format_of_file(file), metadata, encoding, tuple(notes), frame)


def check_mode(mode: str, wanted: Wanted) -> None:
    """Raise `ConvcliError` if the format of the result cannot hold an image of this mode."""
    mode_for(wanted.format, result_mode(mode, wanted.grey, wanted.depth))
    if wanted.canvas is not None and (wanted.format, wanted.depth) == ("PNG", "16"):
        raise ConvcliError(
            "PNG cannot hold frames of 16 bits, because Pillow does not write them; write TIFF "
            "instead (-o NAME.tif or --format)"
        )


def _chosen(file: Image.Image, wanted: Wanted) -> Reading:
    """Choose how to read a frame, from its header.

    Raises
    ------
    ConvcliError
        If its mode cannot be filtered, or the format of the result cannot hold it.
    """
    mode = _filtered_mode(file)
    deep_mode = None
    if deep.is_deep(file):
        if wanted.canvas is None:  # Pillow alone composes the frames of an animation
            deep_mode = deep.mode_of(file, partial(holds, wanted), mode)
    elif mode == "LA;16" and wanted.format == "TIFF" and not deep.installed():
        raise ConvcliError(
            "has 16-bit grey and a transparent colour; to write TIFF, install the extra 'deep'"
        )
    check_mode(deep_mode or mode, wanted)
    decoded_deep = deep_mode
    if deep_mode is None and wanted.alone and transparent_colour.is_deep(file):
        decoded_deep = "RGBA;16"
    mode = grey_of(mode, wanted.grey)
    # Without a tile there is nothing to decode, which Pillow reports only for its own memory.
    in_place = wanted.alone and file.mode == mode and bool(getattr(file, "tile", []))
    return Reading(deep_mode or mode, decoded_deep, in_place)


def _filtered_mode(image: Image.Image) -> str:
    """Return the mode in which an image is filtered."""
    if image.mode == "P":
        return "RGBA" if "transparency" in image.info else "RGB"
    if "transparency" in image.info and image.mode in ("1", "L", "RGB"):
        return "RGBA" if image.mode == "RGB" else "LA"  # one colour means transparent
    if image.mode.startswith("I;16") and "transparency" in image.info:
        return "LA;16"
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return "I;16"
    mode = CONVERTED.get(image.mode, image.mode)
    if mode not in MODES:
        raise ConvcliError(
            f"has mode {image.mode}, which convcli cannot filter; convert it to grey, RGB, CMYK, "
            "16-bit grey or float grey first"
        )
    return mode


def grey_of(mode: str, grey: Grey | None) -> str:
    """Return the mode that a filter gets: luminance is defined for RGB, and LAB has its own."""
    return {"CMYK": "RGB", "LAB": "L"}.get(mode, mode) if grey else mode


def result_mode(mode: str, grey: Grey | None, depth: Depth | None = None) -> str:
    """Return the mode of an image after filtering.

    Raises
    ------
    ConvcliError
        If its samples cannot be scaled to that depth.
    """
    kind, suffix = kind_of(mode), suffix_of(mode)
    is_signed = mode == "I" or mode.endswith(";16S")
    if depth:
        if is_signed and depth != "float32":
            raise ConvcliError(
                f"has signed integers, of which convcli cannot tell white: --depth {depth} cannot "
                "be used; use --depth float32"
            )
        suffix = _SUFFIXES[depth]
    elif is_signed and (grey is None or mode == "I"):
        return mode
    if kind in ("CMYK", "LAB") and grey is None:
        return kind + suffix.removesuffix(";8")
    if grey and not kind.isdigit() and kind != "Y":
        kind = "LA" if grey == "LA" and mode in WITH_ALPHA else "L"
        if suffix == ";16S" and kind != kind_of(mode):  # no format holds grey of these
            suffix = ";32F"
    return named(kind, suffix)


def holds(wanted: Wanted, mode: str) -> bool:
    """Return whether the format of the result can hold an image of this mode after filtering."""
    return formats.holds(wanted.format, result_mode(mode, wanted.grey, wanted.depth))


def _loaded(file: Image.Image, reading: Reading, source: Path | bytes) -> Pixels | None:
    """Let Pillow decode a frame; return its samples only if their 16 bits are kept."""
    if isinstance(file, ImageFile.ImageFile):
        # Each strip of a TIFF reads a block: 120,000 strips of a byte took 34 s by this one.
        file.decodermaxblock = max(1 << 16, _BLOCK // max(len(file.tile), 1))
    with refusals(source):
        orientation = file.getexif().get(Tag.Orientation, 1) if reading.deep_mode else 1
        file.load()  # before anything else loads it: Pillow reports damage only once
        if not reading.deep_mode:
            return None
        samples = deep.samples(source, file, reading.deep_mode, orientation)
        return samples if reading.keeps_16_bits else (samples >> 8).astype("uint8")


def _converted(image: Image.Image, mode: str, source: Path | bytes) -> Image.Image:
    """Convert a decoded image to a mode; `copy_of` converts integers of all kinds."""
    if image.mode == mode or mode.startswith("I") or image.mode.startswith("I;16"):
        return image
    with refusals(source):
        return image.getchannel(0) if image.mode == "LAB" else image.convert(mode)
