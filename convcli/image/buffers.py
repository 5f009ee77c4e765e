"""Memory that Pillow and numpy share, so that pixels are copied as rarely as possible."""

from __future__ import annotations

import math
import mmap
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from convcli.errors import ConvcliError

# numpy is imported where pixels become an array: its 35 ms pass while the decoder works in
# another thread (see `convcli.batch.ahead`).
if TYPE_CHECKING:
    import numpy as np

    from convcli.pixels.padded import Padded
    from convcli.types import Pixels

# Modes whose samples Pillow can share, and its names for them in shared memory: RGB has four
# bytes per pixel there.
_SHARED_MODES = {"L": "L", "RGB": "RGBX", "RGBA": "RGBA", "CMYK": "CMYK"}

_CHANNELS = {"LA": 2, "RGB": 3, "LAB": 3, "RGBX": 4, "RGBA": 4, "CMYK": 4}

# Formats whose decoders fill any memory that they are given. Others allocate their own: TIFF
# decodes tiles that extend beyond the image, GIF changes its mode while it decodes.
_DECODED_IN_PLACE = ("JPEG", "MPO", "PNG")

# Rows that are copied at a time between Pillow and numpy: temporary copies of the whole image
# would need more memory than anything else.
_BAND_ROWS = 256


class SharedMemory(NamedTuple):
    """Memory of ours that Pillow decodes an image into; the pixels need no copy.

    Attributes
    ----------
    memory : mmap
        The samples.
    core : object
        Pillow's image in C over that memory.
    size : (int, int)
        Width and height.
    """

    memory: mmap.mmap
    core: Any
    size: tuple[int, int]

    def holds(self, image: Image.Image) -> bool:
        """Return whether an image is still in this memory: turning or converting moves it."""
        return image.im is self.core

    def pixels(self) -> Pixels | Padded:
        """Return the samples, which keep the memory alive."""
        return view_of(self.memory, self.core.mode, self.size)


def share(image: Image.Image) -> SharedMemory | None:
    """Let Pillow decode an opened image into memory of ours, if the format allows it."""
    if image.format not in _DECODED_IN_PLACE or image.mode not in _SHARED_MODES:
        return None
    channels = _CHANNELS.get(_SHARED_MODES[image.mode], 1)
    memory = huge_pages(image.width * image.height * channels)
    core = image_over(memory, image.mode, image.size).im
    image.im = core
    return SharedMemory(memory, core, image.size)


def huge_pages(size: int) -> mmap.mmap:
    """Allocate memory that can be given back in parts.

    It consists of huge pages, because a decoder waits for every new page: decoding 24 megapixels
    of RGB takes 75 to 95 ms here, and 110 to 150 ms in Pillow's own memory plus 60 ms to copy.
    """
    if not hasattr(mmap, "MAP_PRIVATE"):  # on Windows
        return mmap.mmap(-1, size)
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):  # on Linux
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def image_over(samples: Any, mode: str, size: tuple[int, int]) -> Image.Image:
    """Make a Pillow image that uses memory of ours: an mmap or an array."""
    mode = _SHARED_MODES[mode]
    return Image.frombuffer(mode, size, samples, "raw", mode, 0, 1)


def view_of(memory: mmap.mmap, mode: str, size: tuple[int, int]) -> Pixels | Padded:
    """Return memory as pixels, which keep it alive."""
    import numpy as np

    return _pixels(np.frombuffer(memory, np.uint8), memory, mode, size)


def copy_of(image: Image.Image) -> Pixels | Padded:
    """Copy a loaded image into an array, a band of rows at a time.

    Raises
    ------
    ConvcliError
        If a PPM, whose samples Pillow reads as 32-bit integers, has more than 16 bits.
    """
    import numpy as np

    width, height = image.size
    mode = image.im.mode  # RGBX if it was decoded in shared memory and then turned
    dtype: np.dtype[Any] = np.dtype(np.uint8)
    if mode == "F":
        dtype = np.dtype(np.float32)
    elif mode.startswith("I;16") or (mode == "I" and image.format == "PPM"):
        dtype = np.dtype(np.uint16)
    elif mode == "I":
        dtype = np.dtype(np.float64)
    shape = _shape(mode, image.size)
    memory = huge_pages(math.prod(shape) * dtype.itemsize)
    samples = np.frombuffer(memory, dtype)
    pixels = samples.reshape(shape)
    for top in range(0, height, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, height)
        band = np.asarray(image.crop((0, top, width, bottom)))
        if dtype == np.uint16 and mode == "I" and (band.min() < 0 or band.max() > 65535):
            raise ConvcliError("has samples of more than 16 bits; reduce them to 16 bits first")
        pixels[top:bottom] = signed_lab(band) if mode == "LAB" else band
    return _pixels(samples, memory, mode, image.size)


def signed_lab(samples: Pixels) -> Pixels:
    """Convert a* and b* between Pillow's signed bytes and 0 to 255 with 128 as the centre."""
    import numpy as np

    return np.bitwise_xor(samples, np.array([0, 128, 128], np.uint8))


def _shape(mode: str, size: tuple[int, int]) -> tuple[int, ...]:
    """Return the shape of an array for an image of a mode."""
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
