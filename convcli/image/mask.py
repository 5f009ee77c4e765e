"""Reading a mask: any image as one channel, of which white is the largest sample, or 1."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from convcli.errors import ConvcliError, reason_of, shown
from convcli.image.picture import WITH_ALPHA, kind_of
from convcli.image.reading import read as read_image

if TYPE_CHECKING:
    from convcli.types import Pixels


def read(name: str) -> Pixels:
    """Read a mask as an array ``(H, W)``, upright, with the bits that it has.

    Colours count as their luminance, and transparent pixels as black.

    Raises
    ------
    ConvcliError
        Names the file and says why it is no mask.
    """
    try:
        return _read(Path(name))
    except (ConvcliError, OSError) as error:
        raise ConvcliError(f"the mask {shown(name)} cannot be used: {reason_of(error)}") from None


def _read(path: Path) -> Pixels:
    import numpy as np

    from convcli.pixels.colour import full_scale, luminance

    # TIFF holds all that can be read. CMYK becomes RGB, and LAB its lightness.
    picture = read_image(path, "TIFF", grey="L")
    if picture.frames > 1:
        if isinstance(picture.later, Generator):
            picture.later.close()  # and so the file
        raise ConvcliError(f"has {picture.frames} frames or pages, and a mask is one image")
    kind, mode, pixels = kind_of(picture.mode), picture.mode, picture.pixels
    if kind.isdigit() or mode == "I" or mode.endswith(";16S"):
        raise ConvcliError(
            f"has samples of mode {mode}, which have no white; save it as a grey image of 8 or 16 "
            "bits"
        )
    if pixels.ndim == 2:
        return pixels
    alpha = pixels[..., -1] if mode in WITH_ALPHA else None
    colours = pixels if alpha is None else pixels[..., :-1]
    grey = colours[..., 0]
    if not all(np.array_equal(grey, colours[..., each]) for each in range(1, colours.shape[2])):
        is_grey = (colours == colours[..., :1]).all(axis=2)
        grey = np.where(is_grey, grey, luminance(colours.astype(np.float32))[..., 0])
    if alpha is not None:
        grey = grey * (alpha / np.float64(full_scale(pixels.dtype)))
    if pixels.dtype.kind == "u":
        return np.asarray(np.rint(grey).astype(pixels.dtype))
    return np.ascontiguousarray(grey)
