"""Raw PGM, PPM and PAM images, of 8 and 16 bits; a few lines that no package has for all of them.

The formats are defined at netpbm.sourceforge.net/doc. Pillow reads PPM of 16 bits as 8 and no PAM.
Plain images, which are text, bitmaps and floats are left to it.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from PIL import Image

from convcli import memory
from convcli.errors import ConvcliError
from convcli.files.formats import holds, mode_for
from convcli.image.buffers import huge_pages
from convcli.image.content import opened, size_of
from convcli.image.costs import DEEPER
from convcli.image.decoding import grey_of, result_mode
from convcli.image.headers import SPACE, OnDecode, Stated
from convcli.image.notes import reduced
from convcli.image.picture import Grey, Picture, form_of, kind_of, named
from convcli.words import Depth

if TYPE_CHECKING:
    from convcli.image.encoder import Encoder
    from convcli.types import Pixels

PAM, PGM, PPM = b"P7", b"P5", b"P6"

# A longer header is not read ahead; comments have no limit of their own.
_LONGEST_HEADER = 1 << 16

# Kinds of pixels by the tuple types of PAM, and by the number of channels without one.
_TYPES = {b"BLACKANDWHITE": "L", b"GRAYSCALE": "L", b"RGB": "RGB", b"GRAYSCALE_ALPHA": "LA",
          b"BLACKANDWHITE_ALPHA": "LA", b"RGB_ALPHA": "RGBA"}  # fmt: skip
_KINDS = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_TYPE_OF = {"L": b"GRAYSCALE", "LA": b"GRAYSCALE_ALPHA", "RGB": b"RGB", "RGBA": b"RGB_ALPHA"}

_DAMAGED = "is truncated, damaged or of a kind that cannot be read: "
_SHORT = f"{_DAMAGED}not all of its samples are there"


class Header(NamedTuple):
    """What stands before the samples; `length` is that of the header in bytes."""

    magic: bytes
    width: int
    height: int
    channels: int
    most: int
    kind: str
    length: int

    @property
    def raster(self) -> int:
        """Bytes of the samples."""
        return self.width * self.height * self.channels * (2 if self.most > 255 else 1)


def header_of(file: BinaryIO, head: bytearray) -> Header:
    """Read a header whose first bytes, up to the magic number, are in `head`; add the rest to it.

    Raises
    ------
    ConvcliError
        If it is none.
    """
    magic = bytes(head[:2])
    try:
        if magic == PAM:
            found = _pam(file, head)
        else:
            width, height, most = (int(token(file, head)) for _ in range(3))
            kind = "L" if magic == PGM else "RGB"
            found = Header(magic, width, height, len(kind), most, kind, len(head))
    except ValueError:
        raise ConvcliError(
            f"{_DAMAGED}its header is not one of {'PAM' if magic == PAM else 'PPM'}"
        ) from None
    if min(found.width, found.height) < 1:
        raise ConvcliError("is empty: it has no pixels")
    if not (0 < found.most < 1 << 16 and found.channels > 0):
        raise ConvcliError(f"is damaged: its largest sample is {found.most}")
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and found.width * found.height > limit:
        raise ConvcliError(f"has more than {limit} pixels; --max-pixels raises the limit")
    return found


def _pam(file: BinaryIO, head: bytearray) -> Header:
    """Read the lines of a PAM header; raises `ValueError`."""
    values: dict[bytes, bytes] = {}
    while True:
        start = len(head)
        head += file.readline(_LONGEST_HEADER)
        line = bytes(head[start:])
        if not line.endswith(b"\n") or len(head) > _LONGEST_HEADER:
            raise ValueError(line)
        name, _, value = line.partition(b"#")[0].strip().partition(b" ")
        if name == b"ENDHDR":
            break
        if name:
            values[name] = value.strip()
    width, height, channels, most = (
        int(values.get(name, b"")) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
    )
    given = values.get(b"TUPLTYPE", b"")
    kind = _TYPES.get(given, str(channels)) if given else _KINDS.get(channels, str(channels))
    if not kind.isdigit() and channels != form_of(named(kind, ";8"))[0]:
        raise ValueError(kind)
    return Header(PAM, width, height, channels, most, kind, len(head))


def token(file: BinaryIO, head: bytearray, word: bytes = b"") -> bytes:
    """Read a word and the space after it; a comment extends from # to the end of its line.

    The word goes on from `word`, if its beginning was read.
    """
    in_comment = False
    while len(head) < _LONGEST_HEADER and (byte := file.read(1)):
        head += byte
        if in_comment:
            in_comment = byte not in b"\r\n"
        elif byte == b"#":
            in_comment = True
        elif byte not in SPACE:
            word += byte
        elif word:
            break
    return word


def read(
    source: Path | bytes,
    target_format: str | None,
    results: tuple[Grey | None, Depth | None],
    on_decode: OnDecode | None,
) -> Picture:
    """Read an image; the parameters are those of `convcli.image.tiff_reading.read`."""
    with opened(source) as file:
        head = bytearray(file.read(2))
        header = header_of(file, head)
    comments = len(re.findall(rb"#[^\n\r]*", head))
    lost = ["comment" if comments == 1 else f"{comments} comments"] if comments else []
    own = "PAM" if header.magic == PAM else "PPM"
    mode = named(header.kind, ";16" if header.most > 255 else ";8")
    is_reduced = False
    target = target_format or own
    if mode.endswith(";16") and not holds(target, result_mode(mode, *results)):
        mode, is_reduced = named(header.kind, ";8"), True
    mode_for(target, result_mode(mode, *results))
    needed = 3 * header.raster * (DEEPER if results[1] else 1)
    if on_decode:
        on_decode(needed, Stated((header.height, header.width), mode))
    memory.check(needed)
    if size_of(source) < header.length + header.raster:
        raise ConvcliError(_SHORT)
    pixels = _pixels(source, header)
    notes: tuple[str, ...] = ()
    if is_reduced:
        pixels, notes = (pixels >> 8).astype("uint8"), (reduced(16),)
    metadata = {"lost": lost} if lost else {}
    return Picture(pixels, grey_of(mode, results[0]), own, metadata, notes=notes)


def _pixels(source: Path | bytes, header: Header) -> Pixels:
    """Return the samples, scaled to 8 or 16 bits."""
    # Before numpy is there: another thread imports it meanwhile (see `convcli.batch.ahead`).
    content: bytes | mmap.mmap
    if isinstance(source, Path):
        content, start = _raster(source, header), 0
    else:
        content, start = source, header.length
    import numpy as np

    dtype = np.dtype(">u2" if header.most > 255 else "u1")
    samples = np.frombuffer(content, dtype, header.raster // dtype.itemsize, start)
    full = 65535 if header.most > 255 else 255
    if header.most != full:
        samples = np.rint(np.minimum(samples, header.most) * float(full) / header.most)
    shape = (header.height, header.width, header.channels)
    pixels = samples.reshape(shape if header.channels > 1 else shape[:2])
    return pixels.astype(np.uint16 if full > 255 else np.uint8, copy=False)


def _raster(path: Path, header: Header) -> mmap.mmap:
    """Read the samples of a file into memory of their own."""
    memory = huge_pages(header.raster)
    rest = memoryview(memory)
    with open(path, "rb", buffering=0) as file:
        file.seek(header.length)
        while rest:  # a read returns 2 GB at most
            count = file.readinto(rest)
            if not count:
                raise ConvcliError(_SHORT)
            rest = rest[count:]
    return memory


def write(encoder: Encoder, picture: Picture, file: BinaryIO) -> None:
    """Write one image."""
    import numpy as np

    encoder.settings_for(picture)  # notes the metadata that are dropped
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    most = 65535 if pixels.dtype == np.uint16 else 255
    kind = kind_of(picture.mode)
    if encoder.format == "PAM":
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        file.write(
            b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\nTUPLTYPE %s\nENDHDR\n"
            % (width, height, channels, most, _TYPE_OF[kind])
        )
    else:
        file.write(b"%s\n%d %d\n%d\n" % (PGM if kind == "L" else PPM, width, height, most))
    for band in picture.bands() if picture.bands else (pixels,):
        file.write(np.ascontiguousarray(band, ">u2" if most > 255 else "u1").data)
