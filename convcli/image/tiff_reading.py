"""Reading a TIFF: by Pillow what it decodes right, all else by tifffile and imagecodecs."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from PIL import Image, TiffImagePlugin
from PIL.ExifTags import IFD
from PIL.ExifTags import Base as Tag

from convcli import memory
from convcli.errors import ConvcliError
from convcli.files.formats import FORMATS, check_frames, holds
from convcli.image import bombs, deep, tiff_samples
from convcli.image import tags as tags_of_file
from convcli.image import tiff_layout as layout_of
from convcli.image.buffers import copy_of, image_over
from convcli.image.content import opened
from convcli.image.costs import DEEPER, memory_of
from convcli.image.decoding import Wanted, check_mode, decoded, grey_of, result_mode
from convcli.image.headers import OnDecode, Stated, encoding_of
from convcli.image.held import Held
from convcli.image.metadata import BLOCKS, metadata_of
from convcli.image.nodata import with_nodata
from convcli.image.picture import Grey, Picture, as_floats, form_of
from convcli.image.refusals import refusals
from convcli.image.tiff_layout import Layout
from convcli.image.tiff_notes import conversion_notes, lacking_notes, sample_notes
from convcli.words import Depth

if TYPE_CHECKING:
    import tifffile

    from convcli.types import Pixels

_DEEP = ("LA;16", "RGB;16", "RGBA;16")

# The start of a CR2: a TIFF whose first page is described at byte 16, with Canon's mark and
# version in between. (In any other TIFF these bytes may be samples.)
_CANON = b"II*\0\x10\0\0\0CR\2\0"

_CODED = (layout_of.PACKBITS, *layout_of.DICTIONARIES)
_ALL = (layout_of.RAW, *_CODED)
_GREYS = (layout_of.WHITE_IS_ZERO, layout_of.BLACK_IS_ZERO)


class Right(NamedTuple):
    """Layouts of a page that Pillow (13.0) decodes right.

    `planes` are the compressions with which it also decodes PlanarConfiguration 2, which a page
    of one sample may have, too. Without compression Pillow takes the bytes of a sample for planes.
    """

    photometric: tuple[int, ...]
    bits: tuple[int, ...]
    extra: tuple[tuple[int, ...], ...] = ((),)
    compression: tuple[int, ...] = _ALL
    formats: tuple[int, ...] = (layout_of.UNSIGNED,)
    order: str = "<>"
    planes: tuple[int, ...] = _CODED


# Everything else is decoded by tifffile. tests/image/test_tiff_samples.py verifies each row.
PILLOW = (
    Right(_GREYS, (1,), compression=(*_ALL, *layout_of.FAX)),
    Right(_GREYS, (2, 4)),
    Right(_GREYS, (8,), compression=(*_ALL, layout_of.JPEG)),
    Right((layout_of.BLACK_IS_ZERO,), (8,), planes=_ALL),
    Right((layout_of.BLACK_IS_ZERO,), (8,), ((0,),)),
    # Of grey and alpha in planes it reads the grey alone; of CIELAB in planes it shifts a* and b*.
    Right((layout_of.BLACK_IS_ZERO,), (8,), ((1,), (2,)), planes=()),
    Right((layout_of.CIELAB,), (8,), planes=()),
    Right((layout_of.PALETTE,), (1, 2, 4, 8)),
    Right((layout_of.PALETTE,), (8,), ((0,), (2,)), planes=()),
    Right((layout_of.RGB,), (8,), ((), (2,)), (*_ALL, layout_of.JPEG), planes=_ALL),
    Right((layout_of.RGB,), (8,), ((0,), (0, 0), (1,))),
    Right((layout_of.RGB,), (8,), ((999,), (0, 0, 0), (2, 0), (2, 0, 0)), planes=()),
    Right((layout_of.CMYK,), (8,), compression=(*_ALL, layout_of.JPEG), planes=_ALL),
    Right((layout_of.CMYK,), (8,), ((0,), (0, 0))),
    # libtiff converts compressed colours to RGB; see `_is_usual` for those that Pillow converts.
    Right((layout_of.YCBCR,), (8,), compression=(*_ALL, layout_of.JPEG, layout_of.OLD_JPEG),
          planes=()),
    # libtiff returns samples in the byte order of the machine. If the file is big-endian, Pillow
    # swaps the bytes of signed integers and floats again.
    Right((layout_of.BLACK_IS_ZERO,), (16,)),
    Right((layout_of.WHITE_IS_ZERO,), (16,), order="<"),
    Right((layout_of.BLACK_IS_ZERO,), (12, 32), order="<"),
    Right((layout_of.BLACK_IS_ZERO,), (16, 32), formats=(layout_of.SIGNED,), order="<"),
    Right((layout_of.BLACK_IS_ZERO,), (32,), formats=(layout_of.FLOAT,), order="<"),
    Right((layout_of.BLACK_IS_ZERO,), (16, 32), compression=(layout_of.RAW,),
          formats=(layout_of.SIGNED,), planes=()),
    Right((layout_of.BLACK_IS_ZERO,), (32,), compression=(layout_of.RAW,),
          formats=(layout_of.FLOAT,), planes=()),
    # It keeps the high bytes of colour: all that is left where 16 bits have no place.
    Right((layout_of.RGB,), (16,), ((), (0,), (2,))),
    Right((layout_of.CMYK,), (16,)),
)  # fmt: skip


def pillow_reads(layout: Layout) -> bool:
    """Return whether Pillow decodes a page right."""
    in_planes = layout.value(Tag.PlanarConfiguration, 1) == 2
    return _is_usual(layout) and any(
        layout.photometric in row.photometric
        and layout.bits[0] in row.bits
        and layout.extra in row.extra
        and layout.compression in (row.planes if in_planes else row.compression)
        and layout.formats[0] in row.formats
        and layout.order in row.order
        for row in PILLOW
    )


def _is_taken_for_small(layout: Layout) -> bool:
    """Return whether Pillow takes the file for a small TIFF: it is a big-endian BigTIFF."""
    return layout.is_big and layout.order == ">"


def _is_usual(layout: Layout) -> bool:
    """Return whether a page has none of the properties that Pillow ignores."""
    if _is_taken_for_small(layout):
        return False
    if layout.value(Tag.FillOrder, 1) != 1 and layout.bits[0] > 1:
        return False
    if (Tag.StripOffsets in layout.places) == bool(layout.tile):  # Pillow looks for tiles there
        return False
    if not layout.names_extra:
        return False
    if layout.photometric == layout_of.PALETTE:  # a colour map of 8 bits is taken for one of 16
        return max(layout.colour_map, default=0) > 255
    if layout.photometric == layout_of.YCBCR and layout.compression == layout_of.RAW:
        return not layout.is_subsampled and layout.has_usual_ycbcr
    if layout.is_subsampled:  # libtiff gets 4 x 4 wrong, and reads no image smaller than a block
        across, down = layout.subsampling
        return down < 4 and layout.width >= across and layout.height >= down
    return True


def read(
    source: Path | bytes,
    beginning: bytes,
    target_format: str,
    results: tuple[Grey | None, Depth | None],
    on_decode: OnDecode | None,
) -> Picture:
    """Read the first page of a TIFF, and the others when they are asked for.

    The parameters are those of `convcli.image.read`; `beginning` holds the first bytes of the file,
    and the target format is known. `results` are its grey and its depth.
    """
    grey, depth = results
    every = layout_of.layouts(source)
    first = every[0]
    if beginning.startswith(_CANON) or (first.is_reduced and first.has_pages_below):
        raise ConvcliError(
            "is camera raw, of which convcli can read only the preview; develop it to TIFF first"
        )
    layouts, notes = _images_of(every)
    jpegs = [page for page in layouts if page.compression == layout_of.JPEG]
    spans = [
        (offset, size)
        for page in jpegs
        for offset, size in zip(*layout_of.segments(source, page, may_lack=True), strict=True)
        if size
    ]
    bombs.check_tiff(source, len(every), spans)
    check_frames(target_format, "TIFF", len(layouts))
    modes = [_mode(layout, target_format, results) for layout in layouts]
    wrong = [
        layout
        for layout in (*layouts, first)
        if not pillow_reads(layout) or layout_of.lacking(source, layout)
    ]
    by_pillow = not wrong and all(mode in deep.BY_PILLOW for mode in modes)
    if wrong and not deep.installed():
        raise ConvcliError(
            f"is a TIFF of {wrong[0]} ({wrong[0].coding}), which Pillow does not decode right; "
            "to read it, install the extra 'deep'"
        )
    notes += _storage_notes(layouts, target_format)
    sizes = [
        max(_bytes_of(layout, mode, by_pillow), _bytes_written(layout, mode, target_format))
        * (DEEPER if depth else 1)
        for layout, mode in zip(layouts, modes, strict=True)
    ]
    if on_decode:
        on_decode(sizes[0], Stated((layouts[0].height, layouts[0].width), modes[0], may_turn=True))
    wanted = Wanted(
        source, target_format, grey, luma=False, alone=len(layouts) == 1, canvas=None,
        lossless=False, bits=8, held=Held(), depth=depth,
    )  # fmt: skip
    pages = _pages(list(zip(layouts, modes, sizes, strict=True)), wanted, by_pillow)
    picture = next(pages)
    picture = replace(picture, notes=(*notes, *picture.notes), frames=len(layouts))
    if not wanted.alone:
        return replace(picture, later=pages)
    pages.close()
    return picture


def _images_of(every: list[Layout]) -> tuple[list[Layout], list[str]]:
    """Return the pages that are images, and notes on those that are not."""
    masks = [page for page in every if page.is_mask]
    smaller = [page for page in every if page.is_reduced and not page.is_mask]
    images = [page for page in every if not (page.is_mask or page.is_reduced)]
    if not images:  # nothing that they could be the thumbnails of
        images, smaller = smaller, []
    if not images:
        raise ConvcliError("is a TIFF of transparency masks without an image")
    below = sum(page.has_pages_below for page in images)
    kinds = [("thumbnail", smaller), ("transparency mask", masks)]
    notes = [
        f"dropped a {name}" if len(pages) == 1 else f"dropped {len(pages)} {name}s"
        for name, pages in kinds
        if pages
    ]
    if below:
        notes.append("dropped the images below its pages (SubIFDs)")
    return images, notes


def _storage_notes(layouts: list[Layout], target_format: str) -> list[str]:
    """Note how a TIFF was stored, if the result is a TIFF that is stored otherwise."""
    if target_format != "TIFF":
        return []
    tiles = ["wrote strips instead of tiles"] if any(page.tile for page in layouts) else []
    big = ["wrote a TIFF of up to 4 GB instead of a BigTIFF"] if layouts[0].is_big else []
    return tiles + big


def _mode(layout: Layout, target_format: str, results: tuple[Grey | None, Depth | None]) -> str:
    """Return the mode in which a page is decoded."""
    # Bands beyond the colours are for filters that keep colours, and for formats that hold bands.
    takes = results[0] is None and bool(FORMATS[target_format].bands) and deep.installed()
    mode = tiff_samples.mode_of(layout, takes)
    fits = deep.installed() and holds(target_format, result_mode(mode, *results))
    return mode if fits or mode not in _DEEP else mode.removesuffix(";16")


def _bytes_of(layout: Layout, mode: str, by_pillow: bool) -> int:
    """Return the least memory that a page and its result take, in bytes.

    Raises
    ------
    ConvcliError
        If the page has no pixels, or more than the limit.
    """
    count = layout.width * layout.height
    if count < 1:
        raise ConvcliError("is empty: it has no pixels")
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and count > limit:
        raise ConvcliError(f"has more than {limit} pixels; --max-pixels raises the limit")
    if by_pillow:  # colours, 32-bit integers and floats have four bytes per pixel
        return 2 * count * (1 if mode == "L" else 4)
    channels, dtype = form_of(mode)
    sample = math.ceil(layout.bits[0] / 8)
    width, height = layout.segment
    held = channels * int(dtype.lstrip("uintfloa")) // 8
    return count * (sample * layout.samples + 2 * held) + width * height * sample * layout.samples


def _bytes_written(layout: Layout, mode: str, target_format: str) -> int:
    """Return the memory that reading, filtering and writing take by Pillow's codecs, in bytes."""
    pixels = layout.width * layout.height
    return memory_of(("TIFF", target_format), 1 if mode == "L" else 4, pixels, 1)


def _pages(
    pages: list[tuple[Layout, str, int]], wanted: Wanted, by_pillow: bool
) -> Generator[Picture]:
    """Read pages as they are asked for; the file stays open until the last."""
    with ExitStack() as files:
        source = wanted.source
        read_page: Callable[[Layout, str], Picture]
        with refusals(source):
            if by_pillow:
                # Pillow maps a file that it opens by its name, as wide as the turned image is.
                file: Path | BinaryIO
                if isinstance(source, Path) and all(page[0].orientation < 5 for page in pages):
                    file = source
                else:
                    file = files.enter_context(opened(source))
                image = files.enter_context(Image.open(file, formats=["TIFF"]))
                read_page = partial(_by_pillow, image, wanted)
            else:
                stream = files.enter_context(opened(source))
                tiff = files.enter_context(_tifffile(stream))
                read_page = partial(_by_tifffile, tiff, stream, wanted)
        for layout, mode, size in pages:
            check_mode(mode, wanted)
            memory.check(size)
            page = with_nodata(read_page(layout, mode), layout)
            yield replace(page, mode=as_floats(mode)) if wanted.depth == "float32" else page


def _by_pillow(file: Image.Image, wanted: Wanted, layout: Layout, mode: str) -> Picture:
    with refusals(wanted.source):
        file.seek(layout.number)
    picture = decoded(file, wanted)
    if mode == "I;16" and layout.photometric == layout_of.WHITE_IS_ZERO:
        picture.pixels[...] ^= 0xFFFF  # Pillow inverts samples of 8 bits only
    if mode == "I" and layout.formats[0] == layout_of.UNSIGNED and picture.pixels.min() < 0:
        raise ConvcliError(tiff_samples.TOO_LARGE)  # Pillow takes them for signed integers
    return replace(picture, notes=(*sample_notes(layout, picture.mode), *picture.notes))


def _tifffile(file: Any) -> tifffile.TiffFile:
    with deep.needs("imagecodecs"):
        import imagecodecs  # noqa: F401 - tifffile would decode less without it, and not say why
    with deep.needs("tifffile"):
        import tifffile
    return tifffile.TiffFile(file)


def _by_tifffile(
    file: tifffile.TiffFile, stream: BinaryIO, wanted: Wanted, layout: Layout, mode: str
) -> Picture:
    with refusals(wanted.source):
        described = _described(stream, layout)
        orientation = described.getexif().get(Tag.Orientation, 1)
        samples = _samples(file, stream, layout, wanted.source)
    orientation = layout.value(Tag.Orientation, 0) or orientation
    pixels: Any = tiff_samples.pixels(samples, layout, mode, orientation)
    if wanted.grey and mode == "CMYK":
        size = (pixels.shape[1], pixels.shape[0])
        pixels = copy_of(image_over(pixels, mode, size).convert("RGB"))
    elif wanted.grey and mode == "LAB":
        pixels = pixels[..., 0].copy()
    mode = grey_of(mode, wanted.grey)
    metadata, dropped = metadata_of(
        described, described, None if wanted.grey else mode, Held(), orientation != 1,
        (pixels.shape[1], pixels.shape[0]),
    )  # fmt: skip
    notes = (
        *lacking_notes(layout_of.lacking(wanted.source, layout)),
        *sample_notes(layout, mode),
        *dropped,
        *conversion_notes(layout, mode),
    )
    encoding = encoding_of(described, False)
    if mode[0].isdigit() and layout.photometric == layout_of.RGB:
        encoding["bands"] = ("rgb", layout.extra)
    return Picture(pixels, mode, "TIFF", metadata, encoding, notes)


def _samples(
    file: tifffile.TiffFile, stream: BinaryIO, layout: Layout, source: Path | bytes
) -> Pixels:
    """Decode the samples of a page to ``(H, W, S)``, as they are stored."""
    import numpy as np
    import tifffile

    offsets, sizes = layout_of.segments(source, layout, may_lack=not layout.is_subsampled)
    if layout.is_subsampled:  # which tifffile decodes in JPEG only
        across, down = layout.subsampling
        width, height = layout.segment
        most = math.ceil(width / across) * math.ceil(height / down) * (across * down + 2)
        units = []
        for offset, size in zip(offsets, sizes, strict=True):
            stream.seek(offset)
            unit = stream.read(size)
            if layout.compression != layout_of.RAW:
                unit = tifffile.TIFF.DECOMPRESSORS[layout.compression](unit, out=most)
            units.append(unit)
        return tiff_samples.joined(units, layout)
    page = file.pages[layout.number]
    assert isinstance(page, tifffile.TiffPage)
    stored = page.asarray(squeeze=False, maxworkers=1)
    if stored.dtype == bool:
        stored = stored.view(np.uint8)
    planes = layout.samples if layout.in_planes else 1
    shape = (planes, 1, layout.height, layout.width, layout.samples // planes)
    kind = {layout_of.FLOAT: "f", layout_of.SIGNED: "i"}.get(layout.formats[0], "u")
    bits = 8 * stored.dtype.itemsize
    if stored.shape != shape or stored.dtype.kind not in (kind, "u") or bits < layout.bits[0]:
        raise ConvcliError("is damaged: its samples are not those that its tags describe")
    return np.moveaxis(stored[:, 0, ..., 0], 0, -1) if layout.in_planes else stored[0, 0]


def _described(stream: BinaryIO, layout: Layout) -> Image.Image:
    """Make an image of one pixel with a page's metadata, for `metadata_of`."""
    image = Image.new("L", (1, 1))
    image.format = "TIFF"
    tags = _directory(stream, layout, layout.offset)
    with suppress(Exception):  # damaged
        tags_of_file.restore_iptc(tags, stream)
    names = TiffImagePlugin.COMPRESSION_INFO
    image.info["compression"] = names.get(layout.compression, "raw")
    if isinstance(profile := tags.get(Tag.InterColorProfile), bytes):
        image.info["icc_profile"] = profile
    if isinstance(xmp := tags.get(Tag.XMLPacket), bytes):
        image.info["xmp"] = xmp
    unit = {2: 1.0, 3: 2.54}.get(tags.get(Tag.ResolutionUnit, 2))
    resolution: Any = tags.get(Tag.XResolution), tags.get(Tag.YResolution)
    if unit and all(resolution):
        image.info["dpi"] = tuple(value * unit for value in resolution)
    exif = image.getexif()  # of the XMP
    orientation = exif.get(Tag.Orientation)
    exif.endian, exif.bigtiff = layout.order, layout.is_big
    if _is_taken_for_small(layout):
        _fill(exif, tags, stream, layout)
    else:
        exif.load_from_fp(stream, layout.offset)
    if orientation and Tag.Orientation not in exif:
        exif[Tag.Orientation] = orientation
    image.tag_v2 = tags  # type: ignore[attr-defined]
    return image


def _directory(
    stream: BinaryIO, layout: Layout, offset: int, group: int | None = None
) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Read the tags at an offset; `group` is the tag that points there, for a block."""
    order = b"MM" if layout.order == ">" else b"II"
    return tags_of_file.directory(stream, (layout.is_big, order), offset, group)


def _fill(exif: Image.Exif, tags: Mapping[int, Any], stream: BinaryIO, layout: Layout) -> None:
    """Fill EXIF data with the tags of a page and with the blocks that these point to."""
    for pointer in BLOCKS & set(tags):
        # A block that cannot be read is missing, so that `metadata_of` notes damaged EXIF data.
        with suppress(Exception):
            block = dict(_directory(stream, layout, tags[pointer], pointer))
            if IFD.Interop in block:
                inner = _directory(stream, layout, block[IFD.Interop], IFD.Interop)
                exif.get_ifd(IFD.Interop).update(inner)
            exif.get_ifd(pointer).update(block)
    exif.update(tags)
