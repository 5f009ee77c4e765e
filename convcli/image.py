"""Pictures between files and arrays; the only room that knows Pillow."""

from __future__ import annotations

import io
import struct
import sys
import warnings
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError

from convcli.errors import ConvcliError
from convcli.formats import FORMATS, LOSSY, check_size, mode_for
from convcli.types import Pixels
from convcli.writing import new_file

# Modes that have no samples to filter, or that nothing can write, and what they are read as.
_READ_AS = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB",
            "YCbCr": "RGB", "HSV": "RGB"}  # fmt: skip

_ARRAY_MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}

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


Grey = Literal["L", "LA"]


@dataclass(frozen=True)
class Picture:
    """An upright picture and what has to survive filtering.

    Attributes
    ----------
    pixels : ndarray, (H, W) or (H, W, C)
        uint8, uint16 (mode I;16) or float32 (mode F).
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
        if pixels.dtype == np.float32:
            mode = "F"
        elif pixels.dtype == np.uint16:
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
    source: Path | bytes, target_format: str | None = None, grey: Grey | None = None
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

    Raises
    ------
    ConvcliError
        If it is empty, not a picture, truncated, damaged, too large, or cannot be held by
        the target format. The message does not name the file; the caller knows how to.
    """
    if (len(source) if isinstance(source, bytes) else source.stat().st_size) == 0:
        raise ConvcliError("is empty")
    file: Path | BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(file, formats=tuple(FORMATS)) as image:
            return _decoded(image, target_format, grey)
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


def _decoded(image: Image.Image, target_format: str | None, grey: Grey | None) -> Picture:
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
    wanted = _read_mode(image)
    mode_for(target_format or format_name, _result_mode(wanted, grey))
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
    # Luminance is defined for RGB.
    mode = "RGB" if grey and wanted == "CMYK" else wanted
    if image.mode != mode and not mode.startswith("I;16"):
        image = image.convert(mode)
    return Picture(_pixels(image), wanted, format_name, metadata, jpeg, tuple(notes))


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


def _pixels(image: Image.Image) -> Pixels:
    """Copy a loaded picture into an array, a band of rows at a time."""
    width, height = image.size
    dtype: np.dtype[Any] = np.dtype(np.uint8)
    if image.mode == "F":
        dtype = np.dtype(np.float32)
    elif image.mode.startswith("I"):
        dtype = np.dtype(np.uint16)
    channels = _ARRAY_MODES.get(image.mode, 1)
    pixels = np.empty((height, width, channels) if channels > 1 else (height, width), dtype)
    for top in range(0, height, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, height)
        band = np.asarray(image.crop((0, top, width, bottom)))
        if image.mode == "I" and (band.min() < 0 or band.max() > 65535):
            raise ConvcliError("has samples of more than 16 bits, which cannot be filtered")
        pixels[top:bottom] = band
    return pixels


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
        save = partial(_image(picture, mode).save, format=format_name, **settings)
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
    from convcli import png  # nothing but PNG needs it

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


def _image(picture: Picture, mode: str) -> Image.Image:
    """Make a Pillow image of the pixels, in a mode that the format holds."""
    pixels = picture.pixels
    if picture.mode == "I;16" and sys.byteorder == "big":  # Pillow's I;16 is little-endian
        pixels = pixels.byteswap()
    size = (pixels.shape[1], pixels.shape[0])
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
