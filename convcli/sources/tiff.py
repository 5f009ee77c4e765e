"""TIFF and BigTIFF, tiled or in strips: decoded by tifffile, written as a tiled BigTIFF."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from convcli.errors import ConvcliError, NeedsWholeError, reason_of
from convcli.files.writing import new_file
from convcli.image import deep, tiff_samples
from convcli.image import tiff_layout as layout_of
from convcli.image.buffers import signed_lab
from convcli.image.nodata import NODATA, value_of
from convcli.image.picture import form_of, kind_of, mode_of
from convcli.image.tiff_layout import Layout
from convcli.image.tiff_notes import lacking_notes
from convcli.image.tiff_reading import pillow_reads
from convcli.sources.bands import regrouped
from convcli.sources.contract import PIECE, Given, Result, Settings, Stored, check_samples
from convcli.sources.npy import native
from convcli.sources.remote import Bytes, Place, Read, bytes_of
from convcli.sources.tiff_tags import carried_of, settings_of
from convcli.types import Pixels

if TYPE_CHECKING:
    import tifffile

_TILE = 256  # what GDAL writes

# Larger tiles than that are not taken over: each row of them is held until it is written.
_LARGEST_TILE = 1024

# Compressions that are taken over, by tifffile's names. Others are replaced by deflate: JPEG
# would lose more, and tifffile does not write all that it reads.
_KEPT = {layout_of.RAW: None, layout_of.LZW: "lzw", layout_of.PACKBITS: "packbits",
         layout_of.DEFLATE: "adobe_deflate", layout_of.OLD_DEFLATE: "adobe_deflate",
         layout_of.LZMA: "lzma", layout_of.ZSTD: "zstd"}  # fmt: skip

# Bytes of the tiles that threads compress at a time; they are held.
_COMPRESSED_AT_A_TIME = 1 << 22

# Bytes of the offset and the size of a tile, as Python's integers: ours, tifffile's, and those of
# the result.
_PLACE_OF_TILE = 200


@contextmanager
def opened(place: Place, is_grey: bool = False) -> Iterator[Given]:
    """Open the pages of a TIFF that are images of full size; those that are smaller are dropped."""
    if not deep.installed():
        raise NeedsWholeError(
            "does not fit into memory, and TIFF is filtered in parts by tifffile and imagecodecs; "
            "install the extra 'deep'"
        )
    with deep.needs("imagecodecs"):
        import imagecodecs  # noqa: F401 - tifffile would decode less without it
    with deep.needs("tifffile"):
        import tifffile
    with bytes_of(place) as source, ExitStack() as files:
        every = layout_of.layouts(source)
        pages, notes = _full_size(every)
        first = pages[0]
        _check(first)
        file = files.enter_context(tifffile.TiffFile(files.enter_context(source.open())))
        mode = tiff_samples.mode_of(first, takes_bands=not is_grey)
        images = [partial(_stored, source, file, page, mode) for page in pages]
        keeps = first.tile and max(first.tile) <= _LARGEST_TILE and not any(
            side % 16 for side in first.tile
        )  # fmt: skip
        described = file.pages[first.number]
        assert isinstance(described, tifffile.TiffPage)
        carried, more = carried_of(described)
        compression = _KEPT.get(first.compression, "adobe_deflate")
        carried |= {
            "tile": first.tile[::-1] if keeps and first.tile else (_TILE, _TILE),
            "compression": compression,
            "predictor": first.predictor > 1 and compression not in (None, "packbits"),
        }
        if mode[0].isdigit() and first.photometric == layout_of.RGB:
            carried["bands"] = ("rgb", first.extra)
        if first.compression not in _KEPT:
            notes.append("wrote deflate, which loses nothing, instead of its compression")
        profile = carried.get("iccprofile") or b""
        stated = described.tags.get(NODATA)
        yield Given(
            (image() for image in images),
            len(images),
            mode,
            "TIFF",
            carried,
            profile,
            nodata=None if stated is None else value_of(stated.value, first, mode),
            notes=(*notes, *more),
        )


def _full_size(every: list[Layout]) -> tuple[list[Layout], list[str]]:
    """Return the pages that are no smaller versions of the first, and notes on the others."""
    images = [page for page in every if not (page.is_mask or page.is_reduced)] or every[:1]
    first = images[0]
    # Slides (SVS) do not mark their lower levels.
    pages = [page for page in images if (page.width, page.height) == (first.width, first.height)]
    others = [page for page in images if page not in pages]
    if any(page.width > first.width or page.height > first.height for page in others):
        raise NeedsWholeError(
            "has pages of several sizes, which do not fit into memory; save each as a TIFF of its "
            "own"
        )
    dropped = len(every) - len(pages)
    notes = [f"dropped {dropped} smaller version{'s' * (dropped > 1)} or masks"] if dropped else []
    if any(page.has_pages_below for page in pages):
        notes.append("dropped the images below its pages (SubIFDs)")
    return pages, notes


def _check(page: Layout) -> None:
    """Raise `ConvcliError` for pages whose tiles cannot be filtered one by one."""
    if page.orientation != 1:
        raise NeedsWholeError(
            f"is stored rotated (orientation {page.orientation}), which cannot be undone in parts; "
            "rotate it first"
        )
    if page.is_subsampled:
        raise NeedsWholeError(
            "is a TIFF of YCbCr colour that is subsampled, which cannot be read in parts; convert "
            "it to RGB first"
        )
    if len(page.bits) != page.samples or len({*page.bits}) > 1:
        raise NeedsWholeError(f"is a TIFF of {page}, which cannot be filtered; convert it first")


def _is_plain(page: Layout, mode: str, dtype: np.dtype[Any]) -> bool:
    """Return whether samples are filtered as they are stored."""
    as_they_are = page.photometric in (layout_of.BLACK_IS_ZERO, layout_of.RGB)
    as_they_are = as_they_are and not page.is_associated and dtype.itemsize * 8 == page.bits[0]
    return as_they_are and form_of(mode) == (page.samples, dtype.name)


def _stored(source: Bytes, file: tifffile.TiffFile, page: Layout, mode: str) -> Stored:
    """Return the tiles of a page."""
    described: Any = file.pages[page.number]
    offsets, sizes = layout_of.segments(source, page, may_lack=True)
    lacking = sizes.count(0)
    width, height = page.segment
    dtype = described.dtype
    if dtype is None:
        raise ConvcliError(f"is a TIFF of {page} ({page.coding}), which tifffile does not decode")
    is_plain = _is_plain(page, mode, dtype.newbyteorder("="))
    convert = None if is_plain else partial(_converted, page=page, mode=mode)
    channels, name = form_of(mode)
    dtype = np.dtype(name)
    shape = (page.height, page.width, channels)
    check_samples(dtype, shape)
    number = f" of page {page.number + 1}" if page.number else ""
    pieces = 0 if lacking else _pieces(page, offsets)
    tables = len(offsets) * _PLACE_OF_TILE
    if is_plain and pieces:
        raw = np.dtype(page.order + dtype.str[1:])
        tile = (pieces, page.width)
        decode = partial(_raw_rows, source.read, offsets, page.segment[1], raw, shape, pieces)
        return Stored(shape, dtype, tile, decode, tables=tables)
    across = -(-page.width // width)
    planes = page.samples if page.in_planes else 1
    per_plane = across * -(-page.height // height)
    empty = described.nodata  # 0, if the file states none
    jpeg_tables = getattr(described, "jpegtables", None)

    def decode_tile(row: int, column: int) -> Pixels:
        index = row * across + column
        rows, columns = (
            min(height, page.height - row * height),
            min(width, page.width - column * width),
        )
        what = f"{'tile' if page.tile else 'strip'} {index + 1} of {per_plane}{number}"
        parts = []
        for plane in range(planes):
            at = plane * per_plane + index
            if not sizes[at]:
                shape_of_plane = (height, width, page.samples // planes)
                parts.append(np.full(shape_of_plane, empty, described.dtype)[:rows, :columns])
                continue
            data = source.read(offsets[at], sizes[at], what).tobytes()
            try:
                part, _, _ = described.decode(data, at, jpegtables=jpeg_tables)
            except Exception as error:  # decoders raise any kind
                raise ConvcliError(f"{what} cannot be decoded: {reason_of(error)}") from error
            if (
                part is None
                or part.shape[0] != 1
                or part.shape[1] < rows
                or part.shape[2] < columns
            ):
                raise ConvcliError(f"{what} is damaged: it is too small")
            parts.append(part[0, :rows, :columns])
        samples = np.concatenate(parts, axis=2) if planes > 1 else parts[0]
        if samples.shape[2] != page.samples:
            raise ConvcliError(f"{what} is damaged: it has {samples.shape[2]} samples a pixel")
        return np.ascontiguousarray(convert(samples) if convert else native(samples))

    notes = lacking_notes(lacking)
    return Stored(shape, dtype, (height, width), decode_tile, tables=tables, notes=notes)


def _pieces(page: Layout, offsets: list[int]) -> int:
    """Return rows of the pieces in which strips without compression are read; 0 for tiles."""
    if page.tile or page.compression != layout_of.RAW or page.in_planes:
        return 0
    if page.predictor != 1:
        return 0
    row = page.width * page.samples * page.bits[0] // 8
    strip, most = page.segment[1], max(1, PIECE // row)
    if len(offsets) == 1:
        return min(most, page.height)
    return next(rows for rows in range(min(most, strip), 0, -1) if strip % rows == 0)


def _raw_rows(
    read: Read, offsets: list[int], strip: int, raw: np.dtype[Any], shape: tuple[int, int, int],
    rows: int, row: int, _column: int,
) -> Pixels:  # fmt: skip
    """Read some rows of a strip that is stored without compression."""
    height, width, channels = shape
    top = row * rows
    count, line = min(rows, height - top), width * channels * raw.itemsize
    at = offsets[top // strip] + top % strip * line
    piece = read(at, count * line, f"strip {top // strip + 1} of {len(offsets)}")
    return native(piece.view(raw).reshape(count, width, channels))


def _converted(samples: Pixels, page: Layout, mode: str) -> Pixels:
    """Turn stored samples into pixels of a mode: palettes, inverted grey, YCbCr, a few bits."""
    if samples.dtype == bool:
        samples = samples.view(np.uint8)
    if page.is_associated and pillow_reads(page):  # Pillow rounds otherwise
        size = samples.shape[1], samples.shape[0]
        multiplied = Image.frombytes("RGBa", size, samples.tobytes())
        return np.asarray(multiplied.convert("RGBA"))
    made = tiff_samples.pixels(samples, page, mode, 1)
    return made if made.ndim == 3 else made[..., np.newaxis]


def rows_gathered(given: Given) -> int:
    """Return the height of a row of tiles."""
    rows: int = given.carried.get("tile", (_TILE, _TILE))[0]
    return rows


def save(
    target: Path, given: Given, results: Iterable[Result], settings: Settings
) -> tuple[str, ...]:
    """Write each result as a page of a tiled BigTIFF, with the tags of the input."""
    with deep.needs("tifffile"):
        import tifffile
    notes: list[str] = []
    how: dict[str, Any] = {"tile": (_TILE, _TILE), "compression": None, "predictor": False}
    how |= {key: given.carried[key] for key in how if key in given.carried}
    with new_file(target, settings.overwrite, within=settings.within, note=notes.append) as file:
        # The name of a file without one is a number, which tifffile takes for text.
        handle = tifffile.FileHandle(file, name=target.name)
        with tifffile.TiffWriter(handle, bigtiff=True) as writer:
            for result in results:
                channels = result.shape[2]
                tags, more = ({}, ()) if settings.strip else settings_of(given, result.dtype)
                notes += more
                mode = mode_of(channels, result.dtype.name, like=given.mode)
                colours = _colours(mode)
                if mode == given.mode:
                    colours = given.carried.get("bands", colours)
                photometric, extra = colours
                stored = _as_stored(result, mode)
                writer.write(
                    _tiles(stored, how["tile"]),
                    shape=result.shape if channels > 1 else result.shape[:2],
                    dtype=stored.dtype,
                    photometric=photometric,
                    planarconfig="contig" if channels > 1 else None,
                    extrasamples=extra,
                    tile=how["tile"],
                    compression=how["compression"],
                    predictor=how["predictor"],
                    metadata=None,
                    maxworkers=settings.workers,
                    buffersize=_COMPRESSED_AT_A_TIME,
                    **({"software": False} | tags),
                )
    return tuple(dict.fromkeys(notes))


def _colours(mode: str) -> tuple[str, tuple[str, ...]]:
    """Return PhotometricInterpretation and ExtraSamples for a result of a mode."""
    own = {"CMYK": ("separated", 4), "LAB": ("cielab", 3), "RGB": ("rgb", 3), "RGBA": ("rgb", 3)}
    kind = kind_of(mode)
    photometric, colours = own.get(kind, ("minisblack", 1))
    extra = "unassalpha" if kind in ("LA", "RGBA") else "unspecified"
    return photometric, (extra,) * (form_of(mode)[0] - colours)


def _as_stored(result: Result, mode: str) -> Result:
    """Round to integers what was filtered as floats, and shift CIELAB; as in a whole image."""
    if mode == "LAB":
        return result.converted(result.dtype, signed_lab)
    if mode != "I" and not mode.endswith(";16S"):
        return result
    dtype: np.dtype[np.integer[Any]] = np.dtype(np.int32 if mode == "I" else np.int16)
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max

    def rounded(band: Pixels) -> Pixels:
        return np.nan_to_num(np.rint(band)).clip(least, most).astype(dtype)

    return result.converted(dtype, rounded)


def _tiles(result: Result, tile: tuple[int, int]) -> Iterator[Pixels]:
    """Cut bands into whole tiles, row by row; those at the edges are filled up with zeros."""
    rows, columns = tile
    for band in regrouped(result.bands, rows):
        for left in range(0, result.shape[1], columns):
            piece = band[:, left : left + columns]
            if piece.shape[:2] != tile:
                whole = np.zeros((rows, columns, piece.shape[2]), piece.dtype)
                whole[: piece.shape[0], : piece.shape[1]] = piece
                piece = whole
            yield np.ascontiguousarray(piece if piece.shape[2] > 1 else piece[..., 0])
        del band, piece  # or they would be held while the next ones are made
