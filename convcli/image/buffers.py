"""Memory that Pillow and numpy share, so that pixels are copied as seldom as can be."""

from __future__ import annotations

import math
import mmap
from typing import TYPE_CHECKING, Any

from PIL import Image

from convcli.errors import ConvcliError

# numpy is imported where pixels become an array: 35 ms that pass while the decoder is at work
# in another thread (see `convcli.batch.ahead`).
if TYPE_CHECKING:
    import numpy as np

    from convcli.pixels.padded import Padded
    from convcli.types import Pixels

# Modes whose samples Pillow can share with us, and what it calls them then: RGB has four
# bytes a pixel in its memory.
_SHARED_MODES = {"L": "L", "RGB": "RGBX", "RGBA": "RGBA", "CMYK": "CMYK"}

_CHANNELS = {"LA": 2, "RGB": 3, "LAB": 3, "RGBX": 4, "RGBA": 4, "CMYK": 4}

# Formats whose decoders fill whatever memory they are given. Others come by their own: TIFF
# decodes tiles that stick out of the picture, GIF changes its mode on the way.
_DECODED_IN_PLACE = ("JPEG", "MPO", "PNG")

# Rows that are copied at a time between Pillow and numpy: whole-image copies on the way
# would be the largest thing in memory.
_BAND_ROWS = 256


def memory_for(image: Image.Image) -> mmap.mmap | None:
    """Take memory that an opened picture can be decoded into, to be used without a copy."""
    if image.format not in _DECODED_IN_PLACE or image.mode not in _SHARED_MODES:
        return None
    return _huge_pages(image.width * image.height * _CHANNELS.get(_SHARED_MODES[image.mode], 1))


def _huge_pages(size: int) -> mmap.mmap:
    """Take memory that can be given back in parts.

    Its pages are huge, because a decoder waits for every new one: 24 megapixels of RGB take 75
    to 95 ms to decode there, in Pillow's own memory 110 to 150, and to copy from it 60 more.
    """
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):  # on Linux
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def image_over(samples: Any, mode: str, size: tuple[int, int]) -> Image.Image:
    """Let Pillow work in memory of ours, an mmap or an array."""
    mode = _SHARED_MODES[mode]
    return Image.frombuffer(mode, size, samples, "raw", mode, 0, 1)


def view_of(memory: mmap.mmap, mode: str, size: tuple[int, int]) -> Pixels | Padded:
    """See memory as pixels, which keep it alive."""
    import numpy as np

    return _pixels(np.frombuffer(memory, np.uint8), memory, mode, size)


def copy_of(image: Image.Image) -> Pixels | Padded:
    """Copy a loaded picture into an array, a band of rows at a time.

    Raises
    ------
    ConvcliError
        If its samples are 32-bit integers that are said to be 16 (PPM), and are not.
    """
    import numpy as np

    width, height = image.size
    mode = image.im.mode  # RGBX for what was decoded in our memory, and then turned
    dtype: np.dtype[Any] = np.dtype(np.uint8)
    if mode == "F":
        dtype = np.dtype(np.float32)
    elif mode.startswith("I;16") or (mode == "I" and image.format == "PPM"):
        dtype = np.dtype(np.uint16)
    elif mode == "I":
        dtype = np.dtype(np.float64)
    shape = _shape(mode, image.size)
    memory = _huge_pages(math.prod(shape) * dtype.itemsize)
    samples = np.frombuffer(memory, dtype)
    pixels = samples.reshape(shape)
    for top in range(0, height, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, height)
        band = np.asarray(image.crop((0, top, width, bottom)))
        if dtype == np.uint16 and mode == "I" and (band.min() < 0 or band.max() > 65535):
            raise ConvcliError("has samples of more than 16 bits, which cannot be filtered")
        pixels[top:bottom] = signed_lab(band) if mode == "LAB" else band
    return _pixels(samples, memory, mode, image.size)


def signed_lab(samples: Pixels) -> Pixels:
    """Turn a* and b* between signed bytes, as Pillow hands LAB over, and 0 to 255 about 128."""
    import numpy as np

    return np.bitwise_xor(samples, np.array([0, 128, 128], np.uint8))


def _shape(mode: str, size: tuple[int, int]) -> tuple[int, ...]:
    """Return the shape of an array that holds the samples of a mode."""
    width, height = size
    channels = _CHANNELS.get(mode, 1)
    return (height, width, channels) if channels > 1 else (height, width)


def _pixels(
    samples: Pixels, memory: mmap.mmap, mode: str, size: tuple[int, int]
) -> Pixels | Padded:
    """Give samples their shape; pixels of Pillow's RGB have an unused fourth sample."""
    from convcli.pixels.padded import Padded

    pixels = samples.reshape(_shape(mode, size))
    return Padded(pixels, memory) if mode == "RGBX" else pixels
