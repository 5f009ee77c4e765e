"""Arrays in .npy files as images: mapped into memory when they are read, and never unpickled."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from PIL import Image

from convcli import memory
from convcli.errors import ConvcliError
from convcli.files.formats import mode_for
from convcli.image.content import opened, size_of
from convcli.image.costs import DEEPER
from convcli.image.decoding import result_mode
from convcli.image.headers import OnDecode, Stated
from convcli.image.picture import Grey, Picture, mode_of
from convcli.words import Depth, listed

if TYPE_CHECKING:
    import numpy as np

    from convcli.image.encoder import Encoder
    from convcli.types import Pixels

_DTYPES = ("uint8", "uint16", "float32", "float64")

# Of more, as from Python, the last axis may be that of a volume.
_MOST_CHANNELS = 4

# Rows that are copied at a time.
_BAND_ROWS = 64


def read(
    source: Path | bytes,
    target_format: str,
    results: tuple[Grey | None, Depth | None],
    on_decode: OnDecode | None,
) -> Picture:
    """Read an array; the parameters are those of `convcli.image.tiff_reading.read`."""
    import numpy as np

    shape, is_fortran, dtype, offset = _header(source)
    if dtype.name not in _DTYPES:
        raise ConvcliError(
            f"is an array of {dtype.name}, which convcli cannot filter; convert it to "
            f"{listed(_DTYPES)}"
        )
    if len(shape) not in (2, 3):
        raise ConvcliError(f"is an array of shape {shape}; an image has (H, W) or (H, W, C)")
    if min(shape) < 1:
        raise ConvcliError(f"is an array of shape {shape}: it has no pixels")
    if shape[2:] > (_MOST_CHANNELS,):
        raise ConvcliError(
            f"is an array of shape {shape}, which may be a volume; save its slices as arrays of "
            "their own, or its bands as a TIFF"
        )
    count, limit = shape[0] * shape[1], Image.MAX_IMAGE_PIXELS
    if limit is not None and count > limit:
        raise ConvcliError(f"has more than {limit} pixels; --max-pixels raises the limit")
    size = math.prod(shape) * dtype.itemsize
    if size_of(source) < offset + size:
        raise ConvcliError(f"is truncated: an array of shape {shape} and {dtype.name} is longer")
    channels = 1 if len(shape) == 2 else shape[2]
    mode = mode_of(channels, dtype.name)
    mode_for(target_format, result_mode(mode, *results))
    needed = 2 * size * (DEEPER if results[1] else 1)
    if on_decode:
        on_decode(needed, Stated((shape[0], shape[1]), mode))
    memory.check(needed)
    samples: Pixels
    if isinstance(source, Path):
        order: Any = "F" if is_fortran else "C"
        samples = np.memmap(source, dtype, "r", offset, shape, order)
    else:
        flat = np.frombuffer(source, dtype, math.prod(shape), offset)
        samples = flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)
    if shape[2:] == (1,):
        samples = samples[..., 0]
    native = samples if dtype.isnative else samples.astype(dtype.newbyteorder("="))
    return Picture(native, mode, "NPY")


def _header(source: Path | bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, whether it is in Fortran's order, dtype and where the samples begin."""
    from numpy.lib import format as npy

    with opened(source) as file:
        try:
            version = npy.read_magic(file)
            reads = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
            shape, is_fortran, dtype = reads[version](file)
        except KeyError:  # 3.0 is for names in Unicode, which samples do not have
            raise ConvcliError(
                "is an array with named fields, which convcli cannot filter; save one of them"
            ) from None
        except OSError:
            raise
        except Exception as error:  # numpy raises what its parser of Python does
            raise ConvcliError("is truncated or damaged: its header is not one of .npy") from error
        return shape, is_fortran, dtype, file.tell()


def write(encoder: Encoder, picture: Picture, file: BinaryIO) -> None:
    """Write an array of the image's samples."""
    import numpy as np
    from numpy.lib import format as npy

    encoder.settings_for(picture)  # notes the metadata that are dropped
    pixels = picture.pixels
    npy.write_array_header_1_0(
        file,
        {"descr": npy.dtype_to_descr(pixels.dtype), "fortran_order": False, "shape": pixels.shape},
    )
    for top in range(0, len(pixels), _BAND_ROWS):  # of RGB that Pillow decoded every fourth is left
        file.write(np.ascontiguousarray(pixels[top : top + _BAND_ROWS]).data)
