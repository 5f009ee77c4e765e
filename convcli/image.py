"""Pictures between files and arrays; the only room that knows Pillow."""

from __future__ import annotations

import io
import math
import mmap
import struct
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from PIL import Image, ImageFile, ImageOps, JpegImagePlugin, UnidentifiedImageError

from convcli.errors import ConvcliError
from convcli.formats import FORMATS, LOSSY, check_size, mode_for
from convcli.writing import new_file

# numpy is imported where pixels become an array: 35 ms that pass while the decoder is at work
# in another thread (see `convcli.ahead`).
if TYPE_CHECKING:
    import numpy as np

    from convcli.types import Pixels

# Modes that have no samples to filter, or that nothing can write, and what they are read as.
_READ_AS = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB",
            "YCbCr": "RGB", "HSV": "RGB"}  # fmt: skip

_ARRAY_MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBX": 4, "RGBA": 4, "CMYK": 4}

# Modes whose samples Pillow can share with us, and what it calls them then: RGB has four
# bytes a pixel in its memory.
_SHARED_MODES = {"L": "L", "RGB": "RGBX", "RGBA": "RGBA", "CMYK": "CMYK"}

# Formats whose decoders fill whatever memory they are given. Others come by their own: TIFF
# decodes tiles that stick out of the picture, GIF changes its mode on the way.
_DECODED_IN_PLACE = ("JPEG", "MPO", "PNG")

# Formats whose encoders take four bytes a pixel for RGB and leave the fourth out.
_ENCODED_PADDED = ("JPEG", "WEBP")

# The colour space that an ICC profile names in its header, for the modes that it can describe.
_ICC_SPACES = {"L": b"GRAY", "LA": b"GRAY", "I;16": b"GRAY", "F": b"GRAY",
               "RGB": b"RGB ", "RGBA": b"RGB ", "CMYK": b"CMYK"}  # fmt: skip

# The tags that say something about the photograph: description, camera, orientation,
# resolution, program, time, artist, computer, rating, copyright, the EXIF and GPS blocks, and
# Windows' title to subject. A TIFF's other tags say how its samples were stored.
_EXIF_KEPT = {270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 316, 18246, 33432, 34665, 34853,
              *range(40091, 40096)}  # fmt: skip

# Quality for pictures that come from another format; a JPEG keeps its own tables. 90 is where
# most eyes stop seeing a difference, and cameras write about that.
_QUALITY = 90

# Rows that are copied at a time between Pillow and numpy: whole-image copies on the way
# would be the largest thing in memory.
_BAND_ROWS = 256


# Bytes that a decoder is given at a time: all of most photographs.
_BLOCK = 1 << 24

Grey = Literal["L", "LA"]


@dataclass(frozen=True)
class Picture:
    """An upright picture and what has to survive filtering.

    Attributes
    ----------
    pixels : ndarray, (H, W) or (H, W, C)
        uint8, uint16 (mode I;16) or float32 (mode F). RGB may be a view of four bytes a
        pixel (see `convcli.padded`).
    mode : str
        Pillow's word for what the samples are: L, LA, RGB, RGBA, CMYK, I;16 or F.
    format : str
        Pillow's name of the format that it was read from.
    metadata : dict
        ICC profile, DPI and EXIF, by the names that Pillow saves them under.
    jpeg : dict
        A JPEG's quantisation tables and subsampling.
    notes : tuple of str
        What was changed on the way in and a user should know.
    """

    pixels: Pixels
    mode: str
    format: str
    metadata: dict[str, Any] = field(default_factory=dict)
    jpeg: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def with_pixels(self, pixels: Pixels) -> Picture:
        """Return a picture with these pixels and everything else as it was."""
        if pixels.dtype.name == "float32":
            mode = "F"
        elif pixels.dtype.name == "uint16":
            mode = "I;16"
        elif pixels.ndim == 2:
            mode = "L"
        else:
            by_channels = {2: "LA", 3: "RGB", 4: "CMYK" if self.mode == "CMYK" else "RGBA"}
            mode = by_channels[pixels.shape[2]]
        return replace(self, pixels=pixels, mode=mode)


def limit_pixels(most: int | None) -> None:
    """Refuse pictures of more pixels than this from their header; None keeps Pillow's limit.

    Pillow only warns between one and two times its limit; here the warning is the refusal.
    """
    if most is not None:
        Image.MAX_IMAGE_PIXELS = most
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def read(
    source: Path | bytes,
    target_format: str | None = None,
    grey: Grey | None = None,
    luma: bool = False,
    on_decode: Callable[[], None] | None = None,
) -> Picture:
    """Read one picture.

    Parameters
    ----------
    source : Path or bytes
        A file, or its content.
    target_format : str, optional
        The format that the result will be written in; what it cannot hold is refused before
        any pixel is decoded.
    grey : {"L", "LA"}, optional
        What the filter makes of colour, if it makes grey of it: one channel, or one and the
        alpha that was there.
    luma : bool
        Nothing of the colours is wanted but their luma by BT.601. A JPEG keeps that apart, and
        no more of it is decoded.
    on_decode : callable, optional
        Called when the pixels are about to be decoded.

    Raises
    ------
    ConvcliError
        If it is empty, not a picture, truncated, damaged, too large, or cannot be held by
        the target format. The message does not name the file; the caller knows how to.
    """
    if (len(source) if isinstance(source, bytes) else source.stat().st_size) == 0:
        raise ConvcliError("is empty")
    file: Path | BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source
    # Pillow imports every decoder it has, for 25 ms, to try one that is not imported yet.
    suffix = source.suffix.lower() if isinstance(source, Path) else ""
    likely_first = sorted(FORMATS, key=lambda name: suffix not in FORMATS[name].suffixes)
    try:
        with Image.open(file, formats=likely_first) as image:
            return _decoded(image, target_format, grey, luma, on_decode)
    except ConvcliError:
        raise
    except UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise ConvcliError(f"is not a picture in a known format ({known})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ConvcliError(
            f"has more than {Image.MAX_IMAGE_PIXELS} pixels; --max-pixels raises the limit"
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise what they like
        if isinstance(error, OSError) and error.errno:
            raise  # the disk's fault, not the picture's
        raise ConvcliError(f"is truncated or damaged: {error}") from error


def _decoded(
    image: Image.Image,
    target_format: str | None,
    grey: Grey | None,
    luma: bool,
    on_decode: Callable[[], None] | None,
) -> Picture:
    """Decode an opened picture and take what it carries along."""
    if 0 in image.size:
        raise ConvcliError("is empty: it has no pixels")
    # A phone's JPEG with a second picture in it (depth, a larger crop) is MPO; the first one
    # is what every viewer shows.
    format_name = "JPEG" if image.format == "MPO" else image.format or "PNG"
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise ConvcliError(f"has {frames} frames or pages; only single pictures can be filtered")
    notes = _depth_notes(image)
    if luma and _keeps_luma(image):
        image.draft("L", None)  # without a size nothing is scaled
    wanted = _read_mode(image)
    mode_for(target_format or format_name, _result_mode(wanted, grey))
    # Luminance is defined for RGB.
    mode = "RGB" if grey and wanted == "CMYK" else wanted
    memory = _memory_for(image) if image.mode == mode else None
    ours = None if memory is None else _image_over(memory, image.mode, image.size).im
    if ours is not None:
        image.im = ours
    if isinstance(image, ImageFile.ImageFile):
        # Between two blocks, of 64 kB, the decoder waits its turn for the interpreter.
        image.decodermaxblock = _BLOCK
    if on_decode:
        on_decode()
    image.load()  # first, and once: Pillow forgets the damage when asked a second time
    jpeg = _jpeg_settings(image)
    metadata = {key: image.info[key] for key in ("icc_profile", "dpi") if image.info.get(key)}
    if metadata.get("dpi") == (1, 1):  # what Pillow says of a TIFF that says nothing
        del metadata["dpi"]
    try:
        if exif := _turn_upright(image):
            metadata["exif"] = exif
    except Exception:  # Pillow reads values that it cannot write, and says so in many ways
        notes.append("its EXIF data are damaged and were left out")
    if image.mode == "P" or image.mode in _READ_AS:
        notes.append(f"mode {image.mode} was filtered as {wanted}")
    if "transparency" in image.info and wanted not in ("LA", "RGBA"):
        notes.append("its transparent colour was left out")
    if image.mode != mode and not mode.startswith("I;16"):
        image = image.convert(mode)
    if memory is not None and image.im is ours:  # it was neither turned nor converted
        pixels = _view(memory, image.im.mode, image.size)
    else:
        del memory, ours  # what was turned is as large
        pixels = _pixels(image)
    return Picture(pixels, wanted, format_name, metadata, jpeg, tuple(notes))


def _result_mode(mode: str, grey: Grey | None) -> str:
    """Say which mode the filter leaves a picture in."""
    if grey is None or mode in ("I;16", "F"):
        return mode
    return "LA" if grey == "LA" and mode in ("LA", "RGBA") else "L"


def _read_mode(image: Image.Image) -> str:
    """Say which mode a picture is filtered in."""
    if image.mode == "P":
        return "RGBA" if "transparency" in image.info else "RGB"
    if "transparency" in image.info and image.mode in ("1", "L", "RGB"):
        return "RGBA" if image.mode == "RGB" else "LA"  # a colour that means transparent
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return "I;16"
    mode = _READ_AS.get(image.mode, image.mode)
    if mode not in (*_ARRAY_MODES, "F"):
        raise ConvcliError(
            f"has mode {image.mode}, which cannot be filtered; convert it to grey, RGB, CMYK, "
            "16-bit grey or float grey first"
        )
    return mode


def _keeps_luma(image: Image.Image) -> bool:
    """Say whether this is a JPEG in YCbCr, whose Y is luma; the rules are libjpeg's own.

    Edges from Y differ from those from the decoded colours by 0.1 to 0.2 levels in the mean of
    photographs at quality 75 to 97 (98 to 100 % by at most one level). The difference is the
    rounding and clipping of the colours: where subsampled colours are saturated, edges from Y
    are nearer to the original's, by 0.7 levels in the mean instead of 9.4.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.mode != "RGB":
        return False
    if "jfif" in image.info:
        return True
    if "adobe_transform" in image.info:
        return bool(image.info["adobe_transform"] != 0)
    return bytes(layer[0] for layer in image.layer) != b"RGB"


def _depth_notes(image: Image.Image) -> list[str]:
    """Notice samples of 16 bits that Pillow decodes to 8: all but grey ones."""
    if image.mode.startswith(("I", "F")):
        return []
    tiles = getattr(image, "tile", [])  # what the decoder was told: (codec, box, offset, arguments)
    raw_modes = [str(tile[3]) for tile in tiles]
    deep = any(";16" in raw for raw in raw_modes)
    return ["its 16 bits a channel were read as 8"] if deep else []


def _turn_upright(image: Image.Image) -> bytes | None:
    """Turn a picture as its EXIF block says, and return the block without its thumbnail."""
    ImageOps.exif_transpose(image, in_place=True)  # and takes the tag away
    exif = image.getexif()
    for tag in set(exif) - _EXIF_KEPT:
        del exif[tag]
    return exif.tobytes() if exif else None


def _jpeg_settings(image: Image.Image) -> dict[str, Any]:
    """Return what makes an encoder use this JPEG's own quality."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return {}
    settings: dict[str, Any] = {"qtables": image.quantization}
    subsampling = JpegImagePlugin.get_sampling(image)
    if subsampling >= 0 and image.mode == "RGB":
        settings["subsampling"] = subsampling
    return settings


def _memory_for(image: Image.Image) -> mmap.mmap | None:
    """Take memory that an opened picture can be decoded into, to be used without a copy."""
    if image.format not in _DECODED_IN_PLACE or image.mode not in _SHARED_MODES:
        return None
    return _huge_pages(image.width * image.height * _ARRAY_MODES[_SHARED_MODES[image.mode]])


def _huge_pages(size: int) -> mmap.mmap:
    """Take memory that can be given back in parts.

    Its pages are huge, because a decoder waits for every new one: 24 megapixels of RGB take 75
    to 95 ms to decode there, in Pillow's own memory 110 to 150, and to copy from it 60 more.
    """
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):  # on Linux
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _image_over(samples: Any, mode: str, size: tuple[int, int]) -> Image.Image:
    """Let Pillow work in memory of ours, an mmap or an array."""
    mode = _SHARED_MODES[mode]
    return Image.frombuffer(mode, size, samples, "raw", mode, 0, 1)


def _view(memory: mmap.mmap, mode: str, size: tuple[int, int]) -> Pixels:
    """See memory as pixels, which keep it alive."""
    import numpy as np

    return _without_unused(np.frombuffer(memory, np.uint8).reshape(_shape(mode, size)), mode)


def _shape(mode: str, size: tuple[int, int]) -> tuple[int, ...]:
    """Return the shape of an array that holds the samples of a mode."""
    width, height = size
    channels = _ARRAY_MODES.get(mode, 1)
    return (height, width, channels) if channels > 1 else (height, width)


def _without_unused(samples: Pixels, mode: str) -> Pixels:
    """Leave the unused fourth byte of a pixel out of sight."""
    return samples[..., :3] if mode == "RGBX" else samples


def _pixels(image: Image.Image) -> Pixels:
    """Copy a loaded picture into an array, a band of rows at a time."""
    import numpy as np

    width, height = image.size
    mode = image.im.mode  # RGBX for what was decoded in our memory, and then turned
    dtype: np.dtype[Any] = np.dtype(np.uint8)
    if mode == "F":
        dtype = np.dtype(np.float32)
    elif mode.startswith("I"):
        dtype = np.dtype(np.uint16)
    shape = _shape(mode, image.size)
    pixels = np.frombuffer(_huge_pages(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)
    for top in range(0, height, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, height)
        band = np.asarray(image.crop((0, top, width, bottom)))
        if mode == "I" and (band.min() < 0 or band.max() > 65535):
            raise ConvcliError("has samples of more than 16 bits, which cannot be filtered")
        pixels[top:bottom] = band
    return _without_unused(pixels, mode)


def write(
    picture: Picture,
    target: Path | BinaryIO,
    format_name: str,
    *,
    quality: int | None = None,
    png_level: int | None = None,
    workers: int = 1,
    strip: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a picture, to a file atomically.

    Parameters
    ----------
    picture : Picture
        What to write.
    target : Path or binary file
        Where; a file appears under its name only when it is whole.
    format_name : str
        A key of `convcli.formats.FORMATS`.
    quality : int, optional
        For JPEG, WebP and AVIF; a picture that came from a JPEG keeps its own without it.
    png_level : int, optional
        For PNG, as for `convcli.png.image_data`.
    workers : int
        Threads for encoding, where the format can use them: PNG.
    strip : bool
        Leave ICC profile, DPI and EXIF out.
    overwrite : bool
        Whether an older file may be replaced.

    Raises
    ------
    ConvcliError
        If the format cannot hold the picture.
    OSError
        If the file system refuses.
    """
    mode = mode_for(format_name, picture.mode)
    check_size(format_name, picture.pixels.shape[1], picture.pixels.shape[0])
    settings = _settings(picture, format_name, quality)
    if not strip:
        kept = FORMATS[format_name].metadata
        settings |= {key: picture.metadata[key] for key in kept if key in picture.metadata}
        # Edges of a colour picture are grey; its profile would make of them what they are not.
        if settings.get("icc_profile", b"")[16:20] != _ICC_SPACES[mode]:
            settings.pop("icc_profile", None)
    if format_name == "PNG":
        save = partial(_save_png, picture, settings, png_level, workers)
    else:
        save = partial(_image(picture, mode, format_name).save, format=format_name, **settings)
    if isinstance(target, Path):
        with new_file(target, overwrite) as file:
            save(file)
    else:
        # Pillow seeks in what it writes to, which a pipe does not allow.
        encoded = io.BytesIO()
        save(encoded)
        rest = memoryview(encoded.getvalue())
        while rest:  # under PYTHONUNBUFFERED a pipe or a full disk takes a part at a time
            rest = rest[target.write(rest) :]
        target.flush()


def _save_png(
    picture: Picture, settings: dict[str, Any], level: int | None, workers: int, file: BinaryIO
) -> None:
    """Write the chunks that Pillow makes for one pixel, with this picture's size and rows."""
    # Nothing but PNG needs these.
    from PIL import PngImagePlugin

    from convcli import png

    height, width = picture.pixels.shape[:2]
    file.write(b"\x89PNG\r\n\x1a\n")
    for kind, content, _ in PngImagePlugin.getchunks(Image.new(picture.mode, (1, 1)), **settings):
        if kind == b"IDAT":
            for data in png.image_data(picture.pixels, level, workers):
                PngImagePlugin.putchunk(file, kind, data)
        elif kind == b"IHDR":
            PngImagePlugin.putchunk(file, kind, struct.pack(">II", width, height), content[8:])
        else:
            PngImagePlugin.putchunk(file, kind, content)


def _image(picture: Picture, mode: str, format_name: str) -> Image.Image:
    """Make a Pillow image of the pixels, in a mode that the format holds."""
    import numpy as np

    from convcli.padded import buffer_of

    pixels = picture.pixels
    size = (pixels.shape[1], pixels.shape[0])
    buffer = buffer_of(pixels)
    if buffer is not None:
        image = _image_over(buffer, "RGB", size)
        return image if format_name in _ENCODED_PADDED else image.convert(mode)
    if picture.mode == "I;16" and sys.byteorder == "big":  # Pillow's I;16 is little-endian
        pixels = pixels.byteswap()
    image = Image.frombuffer(picture.mode, size, np.ascontiguousarray(pixels))
    return image if image.mode == mode else image.convert(mode)


def _settings(picture: Picture, format_name: str, quality: int | None) -> dict[str, Any]:
    """Choose the encoder's settings."""
    if format_name == "JPEG" and quality is None and picture.jpeg:
        settings = dict(picture.jpeg)
        if picture.mode == "L":
            settings.pop("subsampling", None)  # of one channel there is nothing to subsample
        return settings
    if format_name in LOSSY:
        return {"quality": _QUALITY if quality is None else quality}
    return {}
