"""How the pages of a TIFF store their samples: their tags, and which pages are images.

The numbers are those of TIFF 6.0 (Adobe, 1992), of its supplements, and of BigTIFF.
"""

from __future__ import annotations

import io
import math
import struct
import sys
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL.ExifTags import Base as Tag

from convcli.errors import ConvcliError
from convcli.image.content import Openable, opened
from convcli.once import cached_property

# Tags that Pillow has no name for.
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
_SUBFILE_TYPE, _INK_SET, _EXTRA, _FORMATS = 255, 332, 338, 339
_COLOUR_MAP, _COEFFICIENTS, _SUBSAMPLING, _BLACK_WHITE = 320, 529, 530, 532

# The tags that are read here; offsets and byte counts, which may be many, are read later.
_READ = {Tag.NewSubfileType, _SUBFILE_TYPE, Tag.ImageWidth, Tag.ImageLength, Tag.BitsPerSample,
         Tag.Compression, Tag.PhotometricInterpretation, Tag.FillOrder, Tag.Orientation,
         Tag.SamplesPerPixel, Tag.RowsPerStrip, Tag.PlanarConfiguration, Tag.Predictor,
         _COLOUR_MAP, _TILE_WIDTH, _TILE_LENGTH, Tag.SubIFDs, _INK_SET, _EXTRA, _FORMATS,
         _COEFFICIENTS, _SUBSAMPLING, _BLACK_WHITE}  # fmt: skip
# Tags that change nothing about the samples: damaged ones are ignored.
_HINTS = {Tag.NewSubfileType, _SUBFILE_TYPE, Tag.Orientation, Tag.SubIFDs}
_PLACES = {Tag.StripOffsets, Tag.StripByteCounts, _TILE_OFFSETS, _TILE_COUNTS}

# Values that are read of a tag. More than one for each sample of the pixels mean nothing, and more
# samples are not read.
MOST_SAMPLES = 64

# Values in the colour map of a palette of 16 bits; they are of the type SHORT.
_LONGEST_MAP, _SHORT = 3 << 16, 3

# Bytes of directories that are read, in multiples of the size of the file and beyond that. Their
# data may overlap, so that a small file could describe gigabytes.
_MOST_READ, _MORE_READ = 4, 1 << 20

# The types of integers by their numbers, as `struct` names them, and those of fractions, of which
# rationals are pairs of integers.
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_FRACTIONS = {5: "II", 10: "ii", 11: "f", 12: "d"}

# PhotometricInterpretation.
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR = range(7)
CIELAB, ICCLAB = 8, 9

# SampleFormat.
UNSIGNED, SIGNED, FLOAT = 1, 2, 3

# ExtraSamples; 999 is what Corel Draw 10 writes for alpha.
ASSOCIATED, UNASSOCIATED = 1, (2, 999)

# Compression. Those after JPEG return bytes that a predictor may have prepared.
RAW, OLD_JPEG, JPEG, PACKBITS = 1, 6, 7, 32773
LZW, DEFLATE, OLD_DEFLATE, LZMA, ZSTD = 5, 8, 32946, 34925, 50000
FAX = (2, 3, 4)
DICTIONARIES = (LZW, DEFLATE, OLD_DEFLATE, LZMA, ZSTD)

_PHOTOMETRICS = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 4: "transparency mask", 5: "CMYK",
                 6: "YCbCr", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32803: "colour filter array",
                 32844: "LogL", 32845: "LogLuv", 34892: "linear raw"}  # fmt: skip
_FORMAT_NAMES = {1: "integers", 2: "signed integers", 3: "floats", 4: "samples of no known kind",
                 5: "complex integers", 6: "complex floats"}  # fmt: skip

# The number of samples that are colours.
_COLOURS = {RGB: 3, CMYK: 4, YCBCR: 3, CIELAB: 3, ICCLAB: 3, 10: 3}

_DAMAGED = "is truncated, damaged or of a kind that cannot be read"

_REDUCED, _MASK_OF = 1, 4  # bits of NewSubfileType
_OLD_REDUCED = 2  # the value of SubfileType

# ITU-R BT.601, and codes without headroom: the defaults of TIFF 6.0, section 21.
BT_601 = (0.299, 0.587, 0.114)
FULL_RANGE = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)


@dataclass(frozen=True)
class Layout:
    """How a page stores its samples.

    Attributes
    ----------
    number : int
        The place of the page in the file, from 0.
    offset : int
        Where its directory begins.
    order : {"<", ">"}
        Byte order.
    is_big : bool
        The file is a BigTIFF.
    tags : dict
        The values of those tags that are read here, each a tuple of numbers.
    places : dict
        Type, number and position of the values of tags that are read later.
    """

    number: int
    offset: int
    order: str
    is_big: bool
    tags: dict[int, Sequence[Any]]
    places: dict[int, tuple[int, int, int]]

    def value(self, tag: int, default: int) -> int:
        """Return the first value of a tag as an integer."""
        given = self.tags.get(tag, ())
        return int(given[0]) if given else default

    @cached_property
    def width(self) -> int:
        """Width of the image as it is stored, before it is turned."""
        return self.value(Tag.ImageWidth, 0)

    @cached_property
    def height(self) -> int:
        """Height of the image as it is stored, before it is turned."""
        return self.value(Tag.ImageLength, 0)

    @cached_property
    def photometric(self) -> int:
        """PhotometricInterpretation."""
        return YCBCR if self.compression == OLD_JPEG else self.value(262, WHITE_IS_ZERO)

    @cached_property
    def compression(self) -> int:
        """Compression."""
        return self.value(Tag.Compression, RAW)

    @cached_property
    def predictor(self) -> int:
        """Predictor."""
        return self.value(Tag.Predictor, 1)

    @cached_property
    def samples(self) -> int:
        """SamplesPerPixel."""
        return self.value(Tag.SamplesPerPixel, 3 if self.compression == OLD_JPEG else 1)

    @cached_property
    def bits(self) -> tuple[int, ...]:
        """BitsPerSample, one for each sample if the file is not damaged."""
        return self._for_each(Tag.BitsPerSample, 8 if self.compression == OLD_JPEG else 1)

    @cached_property
    def formats(self) -> tuple[int, ...]:
        """SampleFormat, one for each sample."""
        return self._for_each(_FORMATS, UNSIGNED)

    @cached_property
    def is_float(self) -> bool:
        """Whether the samples are floats."""
        return self.formats[0] == FLOAT

    def _for_each(self, tag: int, default: int) -> tuple[int, ...]:
        given = tuple(self.tags.get(tag, (default,)))
        return given * self.samples if len(given) == 1 else given[: self.samples]

    @cached_property
    def colours(self) -> int:
        """The number of samples that are colours, or the grey."""
        count = _COLOURS.get(self.photometric, 1)
        return 1 if self.photometric == YCBCR and self.samples < count else count

    @cached_property
    def extra(self) -> tuple[int, ...]:
        """ExtraSamples, one for each sample that is not a colour."""
        count = max(self.samples - self.colours, 0)
        given = self.tags.get(_EXTRA, ())
        if not given and (self.photometric, self.samples) == (RGB, 4):
            given = UNASSOCIATED[:1]  # a fourth sample without a meaning is alpha for all readers
        return (*given, *(0,) * count)[:count]

    @cached_property
    def names_extra(self) -> bool:
        """Whether ExtraSamples is as long as it must be; Pillow also knows RGB with a fourth."""
        given = len(self.tags.get(_EXTRA, ()))
        is_rgba = (self.photometric, self.samples, given) == (RGB, 4, 0)
        return is_rgba or given == len(self.extra)

    @cached_property
    def alpha(self) -> int | None:
        """The place of alpha among the samples, if there is one."""
        kinds = (ASSOCIATED, *UNASSOCIATED)
        found = [at for at, kind in enumerate(self.extra) if kind in kinds]
        return self.colours + found[0] if found else None

    @cached_property
    def is_associated(self) -> bool:
        """Whether colours are stored multiplied by their alpha."""
        return self.alpha is not None and self.extra[self.alpha - self.colours] == ASSOCIATED

    @cached_property
    def in_planes(self) -> bool:
        """Whether each sample of the pixels is stored in a plane of its own."""
        return self.value(Tag.PlanarConfiguration, 1) == 2 and self.samples > 1

    @cached_property
    def tile(self) -> tuple[int, int] | None:
        """Width and height of tiles, or None for strips."""
        size = self.value(_TILE_WIDTH, 0), self.value(_TILE_LENGTH, 0)
        return size if all(size) else None

    @cached_property
    def places_of_segments(self) -> tuple[int, int]:
        """The tags that say where the tiles or strips are, and their sizes.

        libtiff takes those of tiles and of strips for the same.
        """
        tiles, strips = (_TILE_OFFSETS, _TILE_COUNTS), (Tag.StripOffsets, Tag.StripByteCounts)
        usual, other = (tiles, strips) if self.tile else (strips, tiles)
        return usual if usual[0] in self.places else other

    @cached_property
    def segment(self) -> tuple[int, int]:
        """Width and height of the tiles or strips."""
        rows = self.value(Tag.RowsPerStrip, self.height) or self.height
        return self.tile or (self.width, min(rows, self.height))

    @property
    def segments(self) -> int:
        """How many tiles or strips there are, in all planes."""
        width, height = self.segment
        count = math.ceil(self.width / width) * math.ceil(self.height / height)
        return count * (self.samples if self.in_planes else 1)

    @cached_property
    def orientation(self) -> int:
        """Orientation, as in EXIF."""
        return self.value(Tag.Orientation, 1)

    @cached_property
    def subsampling(self) -> tuple[int, int]:
        """How many columns and rows of a YCbCr image share their chroma."""
        given = self.tags.get(_SUBSAMPLING, (2, 2))
        return (int(given[0]), int(given[1])) if len(given) > 1 else (0, 0)

    @cached_property
    def is_subsampled(self) -> bool:
        """Whether pixels share their chroma, in the data units of TIFF 6.0, section 21."""
        is_colour = self.photometric == YCBCR and self.colours == 3
        return is_colour and self.compression not in (JPEG, OLD_JPEG) and self.subsampling != (1, 1)

    @cached_property
    def coefficients(self) -> tuple[float, ...]:
        """YCbCrCoefficients."""
        return tuple(self.tags.get(_COEFFICIENTS, BT_601))

    @cached_property
    def black_white(self) -> tuple[float, ...]:
        """ReferenceBlackWhite."""
        return tuple(self.tags.get(_BLACK_WHITE, FULL_RANGE))

    @cached_property
    def has_usual_ycbcr(self) -> bool:
        """Whether YCbCr is that of JPEG files; the numbers may be rounded."""
        given = (*self.coefficients, *self.black_white)
        usual = (*BT_601, *FULL_RANGE)
        return len(given) == len(usual) and all(
            abs(one - other) < 1e-3 for one, other in zip(given, usual, strict=True)
        )

    @cached_property
    def colour_map(self) -> Sequence[int]:
        """ColorMap: all reds, all greens, all blues."""
        return self.tags.get(_COLOUR_MAP, ())

    @cached_property
    def ink_set(self) -> int:
        """InkSet; 1 is CMYK."""
        return self.value(_INK_SET, 1)

    @cached_property
    def is_reduced(self) -> bool:
        """Whether the page is a smaller version of another."""
        kind = self.value(Tag.NewSubfileType, 0)
        return bool(kind & _REDUCED) or self.value(_SUBFILE_TYPE, 0) == _OLD_REDUCED

    @cached_property
    def is_mask(self) -> bool:
        """Whether the page is the transparency mask of another."""
        return bool(self.value(Tag.NewSubfileType, 0) & _MASK_OF)

    @cached_property
    def has_pages_below(self) -> bool:
        """Whether the page points to further directories (SubIFDs)."""
        return Tag.SubIFDs in self.tags

    def __str__(self) -> str:
        """Describe the samples: "16-bit signed integers, 3 per pixel"."""
        bits = sorted(set(self.bits))
        depth = f"{bits[0]}-bit" if len(bits) == 1 else f"{bits[0]} to {bits[-1]}-bit"
        kind = _FORMAT_NAMES.get(self.formats[0], "samples") if self.formats else "samples"
        return f"{depth} {kind}, {self.samples} per pixel"

    @cached_property
    def coding(self) -> str:
        """Describe the rest: "YCbCr, uncompressed, in planes, big-endian"."""
        names = {RAW: "uncompressed", LZW: "LZW", JPEG: "JPEG", PACKBITS: "PackBits", ZSTD: "ZSTD",
                 DEFLATE: "deflate", OLD_DEFLATE: "deflate", LZMA: "LZMA"}  # fmt: skip
        words = [self.colour, names.get(self.compression, f"compression {self.compression}")]
        words += ["in separate planes"] * self.in_planes + ["in tiles"] * (self.tile is not None)
        words += ["big-endian"] * (self.order == ">") + ["BigTIFF"] * self.is_big
        return ", ".join(words)

    @cached_property
    def colour(self) -> str:
        """The name of the PhotometricInterpretation."""
        return _PHOTOMETRICS.get(self.photometric, f"photometric {self.photometric}")


def layouts(source: Path | bytes | Openable) -> list[Layout]:
    """Read how all pages of a TIFF store their samples, in the order of the file.

    Raises
    ------
    ConvcliError
        If a directory is damaged.
    """
    with opened(source) as file:
        left = _MORE_READ + _MOST_READ * file.seek(0, io.SEEK_END)

        def read(position: int, size: int) -> bytes:
            nonlocal left
            left -= size
            if left < 0:
                raise ValueError
            file.seek(position)
            return file.read(size)

        header = read(0, 16)
        order = "<" if header[:2] == b"II" else ">"
        is_big = b"+" in header[2:4]
        found: list[Layout] = []
        seen: set[int] = set()
        try:
            (at,) = struct.unpack_from(order + "IQ"[is_big], header, 8 if is_big else 4)
            while at and at not in seen:
                seen.add(at)
                tags, places, following = _directory(read, at, order, is_big)
                found.append(Layout(len(found), at, order, is_big, tags, places))
                at = following
        except (struct.error, OverflowError, ValueError):
            found = []
    if not found or any(page.samples < 1 for page in found):
        raise ConvcliError(f"looks like TIFF, but {_DAMAGED}")
    return found


def _directory(
    read: Callable[[int, int], bytes], at: int, order: str, is_big: bool
) -> tuple[dict[int, Sequence[Any]], dict[int, tuple[int, int, int]], int]:
    """Read the directory at an offset: its tags, places, and the offset of the next."""
    counts, entry, pointer = ("Q", "HHQ", "Q") if is_big else ("H", "HHI", "I")
    room = struct.calcsize(order + pointer)
    step = struct.calcsize(order + entry) + room
    start = at + struct.calcsize(order + counts)
    (count,) = struct.unpack(order + counts, read(at, start - at))
    content = read(start, count * step)
    # Some writers leave out the offset of the next directory in the last one.
    following = read(start + count * step, room)
    tags: dict[int, Sequence[Any]] = {}
    places: dict[int, tuple[int, int, int]] = {}
    for place in range(0, count * step, step):
        tag, kind, number = struct.unpack_from(order + entry, content, place)
        known = _INTEGERS | (_FRACTIONS if tag in (_COEFFICIENTS, _BLACK_WHITE) else {})
        if tag in tags or tag in places or tag not in _READ | _PLACES:
            continue
        if kind not in known:
            if tag in _HINTS:
                continue
            raise ValueError
        position = start + place + step - room
        if struct.calcsize("<" + known[kind]) * number > room:
            (position,) = struct.unpack_from(order + pointer, content, place + step - room)
        if tag in _PLACES:
            places[tag] = (kind, number, position)
        elif tag == _COLOUR_MAP and kind == _SHORT:
            colours = array("H", read(position, 2 * min(number, _LONGEST_MAP)))
            if (order == "<") != (sys.byteorder == "little"):
                colours.byteswap()
            tags[tag] = colours
        elif number:
            form = order + min(number, MOST_SAMPLES) * known[kind]
            values = struct.unpack(form, read(position, struct.calcsize(form)))
            tags[tag] = _divided(values) if kind in (5, 10) else values
    return tags, places, struct.unpack(order + pointer, following)[0] if following else 0


def _divided(values: tuple[int, ...]) -> tuple[float, ...]:
    """Return rationals as floats; those without a value are not a number."""
    pairs = zip(values[::2], values[1::2], strict=True)
    return tuple(above / below if below else math.nan for above, below in pairs)


def segments(
    source: Path | bytes | Openable, layout: Layout, may_lack: bool = False
) -> tuple[list[int], list[int]]:
    """Return the offsets and sizes of the strips or tiles of a page.

    With `may_lack` some may be left out, which have the offset and the size 0: GDAL does so with
    those that have no data (SPARSE_OK).

    Raises
    ------
    ConvcliError
        If a strip or tile is missing, outside the file, or too short for its samples.
    """
    width, height = layout.segment
    across, down = math.ceil(layout.width / width), math.ceil(layout.height / height)
    wanted = layout.segments
    with opened(source) as file:
        end = file.seek(0, io.SEEK_END)
        offsets, sizes = (_numbers(file, layout, tag, wanted) for tag in layout.places_of_segments)
    may_lack = may_lack and any(sizes)
    if not wanted == len(offsets) == len(sizes):
        raise ConvcliError("is truncated or damaged: it has too few strips or tiles")
    least = [1] * wanted
    if layout.compression == RAW and not layout.is_subsampled:
        row = math.ceil(width * layout.bits[0] * (1 if layout.in_planes else layout.samples) / 8)
        rows = [height] * down
        if not layout.tile:
            rows[-1] = layout.height - (down - 1) * height
        least = [row * count for count in rows for _ in range(across)] * (wanted // across // down)
    for offset, size, needed in zip(offsets, sizes, least, strict=True):
        if may_lack and offset == size == 0:
            continue
        if not offset or size < needed or offset + size > end:
            raise ConvcliError("is truncated or damaged: not all of its samples are there")
    return offsets, sizes


def lacking(source: Path | bytes | Openable, layout: Layout) -> int:
    """Return how many strips or tiles a page leaves out; see `segments`."""
    if not all(layout.segment) or layout.segments == 1:  # a page has to have something
        return 0
    with opened(source) as file:
        sizes = _numbers(file, layout, layout.places_of_segments[1], layout.segments)
    return sizes.count(0) if any(sizes) else 0


def _numbers(file: BinaryIO, layout: Layout, tag: int, most: int) -> list[int]:
    """Read offsets or sizes, up to a number; none if they are damaged."""
    kind, number, position = layout.places.get(tag, (4, 0, 0))
    end = file.seek(0, io.SEEK_END)
    if position > end:
        return []
    form = f"{layout.order}{min(number, most, end)}{_INTEGERS[kind]}"
    file.seek(position)
    data = file.read(struct.calcsize(form))
    return list(struct.unpack(form, data)) if len(data) == struct.calcsize(form) else []
