"""Image formats: their suffixes and what each of them can hold. Imports no other package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, NamedTuple

from convcli.errors import ConvcliError, shown
from convcli.files.urls import is_url
from convcli.words import listed, suggested


class Format(NamedTuple):
    """A row of the table of formats.

    `modes` are the modes that are written unchanged, by Pillow's names; `widened` maps other
    modes to one that loses nothing. `metadata` names what the format keeps. `frames` is the
    kind of its frames: those of an animation, pages, or "" for a single image. `longest` is
    the limit on the pixels of a side, where that is less than 2**31. `bands` has the
    samples of which any number of channels is held, of which no colours are known.
    """

    suffixes: tuple[str, ...]
    modes: tuple[str, ...]
    widened: dict[str, str]
    metadata: tuple[str, ...]
    frames: Literal["animation", "pages", ""] = ""
    longest: int = 2**31 - 1
    bands: tuple[str, ...] = ()


FORMATS: dict[str, Format] = {
    "PNG": Format(
        (".png",),
        ("L", "LA", "RGB", "RGBA", "I;16", "LA;16", "RGB;16", "RGBA;16"),
        {},
        ("icc_profile", "dpi", "exif", "xmp", "text", "gamma", "chunks", "code_points"),
        "animation",
    ),
    "JPEG": Format(
        (".jpg", ".jpeg", ".jfif"),
        ("L", "RGB", "CMYK"),
        {},
        ("icc_profile", "dpi", "exif", "xmp", "comment", "comments"),
        "",
        65_500,
    ),
    "TIFF": Format(
        (".tif", ".tiff"),
        (
            *("L", "LA", "RGB", "RGBA", "CMYK", "LAB", "I;16", "RGB;16", "RGBA;16", "I", "F"),
            *("LA;32F", "RGB;32F", "RGBA;32F", "L;64F", "LA;64F", "RGB;64F", "RGBA;64F"),
            *("LA;16S", "RGB;16S", "RGBA;16S"),
        ),
        {"LA;16": "RGBA;16"},  # Pillow cannot read LA;16 in TIFF
        ("icc_profile", "dpi", "exif", "xmp", "tags"),
        "pages",
        bands=(";8", ";16", ";16S", ";32F", ";64F"),
    ),
    "WEBP": Format(
        (".webp",),
        ("RGB", "RGBA"),
        {"L": "RGB", "LA": "RGBA"},
        ("icc_profile", "exif", "xmp"),
        "animation",
        16_383,
    ),
    "AVIF": Format(  # larger ones can be written, but no decoder reads them
        (".avif", ".avifs"),
        ("L", "RGB", "RGBA"),
        {"LA": "RGBA"},
        ("icc_profile", "exif", "xmp"),
        "animation",
        32_768,
    ),
    "BMP": Format((".bmp",), ("L", "RGB"), {}, ("dpi",)),
    "PPM": Format((".ppm", ".pgm", ".pnm", ".pbm"), ("L", "RGB", "I;16", "RGB;16"), {}, ()),
    "PAM": Format(
        (".pam",), ("L", "LA", "RGB", "RGBA", "I;16", "LA;16", "RGB;16", "RGBA;16"), {}, ()
    ),
    "Y4M": Format((".y4m",), ("Y;8", "Y;16"), {}, ()),
    "EXR": Format((".exr",), ("F", "RGB;32F", "RGBA;32F"), {}, (), bands=(";32F",)),
    "NPY": Format(
        (".npy",),
        (
            *("L", "LA", "RGB", "RGBA", "I;16", "LA;16", "RGB;16", "RGBA;16"),
            *("F", "LA;32F", "RGB;32F", "RGBA;32F", "L;64F", "LA;64F", "RGB;64F", "RGBA;64F"),
        ),
        {},
        (),
        bands=(";8", ";16", ";32F", ";64F"),
    ),
    # Its transparency is on or off.
    "GIF": Format(
        (".gif",),
        ("L", "RGB", "RGBA"),
        {"LA": "RGBA"},
        ("comment", "comments"),
        "animation",
        65_535,
    ),
}
"""By Pillow's names, or ours for what Pillow does not read. No other decoder is used: the content
of a file chooses its decoder, and some decoders (EPS) start other programs."""

LOSSY = ("JPEG", "WEBP", "AVIF")
"""The formats that have a quality setting."""

BY_PILLOW = tuple(name for name in FORMATS if name not in ("PAM", "Y4M", "EXR", "NPY"))
"""The formats that Pillow reads."""

STREAMED = ("PPM", "PAM", "Y4M")
"""Formats of a single image, of which several may stand one after the other in a file or pipe."""

IN_PARTS = ("TIFF", "NPY", "ZARR")
"""The formats that may be read and written in parts; see `convcli.sources`."""

_SPELLINGS = {"WEBP": "WebP", "EXR": "OpenEXR", "NPY": ".npy", "Y4M": "y4m", "ZARR": "zarr"}

_SUFFIXES = {name: row.suffixes for name, row in FORMATS.items()} | {"ZARR": (".zarr",)}

_BY_SUFFIX = {suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes}


def spelt(format_name: str) -> str:
    """Return a format's name as its authors write it, for messages.

    >>> spelt("WEBP"), spelt("PNG")
    ('WebP', 'PNG')
    """
    return _SPELLINGS.get(format_name, format_name)


def is_picture(path: Path) -> bool:
    """Whether the suffix of a file is that of an image that can be read."""
    return path.suffix.lower() in _BY_SUFFIX


def format_of(path: Path) -> str:
    """Return the format that an output's suffix stands for.

    Raises
    ------
    ConvcliError
        If the suffix is unknown; the message lists those that are known.
    """
    try:
        return _BY_SUFFIX[path.suffix.lower()]
    except KeyError:
        what = f"the suffix {shown(path.suffix)} is unknown" if path.suffix else "has no suffix"
        known = listed(tuple(_BY_SUFFIX))
        raise ConvcliError(f"{shown(path)}: {what}; use {known}") from None


def format_named(name: str) -> str:
    """Return the format that ``--format`` names: "png", "jpg", "tiff"..."""
    upper = name.upper().removeprefix(".")
    found = upper if upper in _SUFFIXES else _BY_SUFFIX.get(f".{upper.lower()}")
    if found is None:
        known = [each.lower() for each in _SUFFIXES]
        rest = suggested(name, known) or f"; it must be {listed(tuple(known))}"
        raise ConvcliError(f"unknown format {name!r}{rest}")
    return found


def may_be_in_parts(source: str, target: str | None, format_name: str | None) -> bool:
    """Return whether an image, or its result of this format, may be one that is done in parts."""
    if is_url(source) or is_url(target):
        return True
    by_suffix = _BY_SUFFIX.get(os.path.splitext(source)[1].lower())
    return by_suffix in (None, *IN_PARTS) or format_name == "ZARR"


def suffix_of(format_name: str) -> str:
    """Return the usual suffix of a format."""
    return _SUFFIXES[format_name][0]


def row_of(format_name: str) -> Format:
    """Return what a format can hold that is written whole."""
    if format_name not in FORMATS:
        raise ConvcliError(
            f"{spelt(format_name)} is written in parts, of images in TIFF, .npy and zarr; "
            "write TIFF or PNG instead (-o NAME.tif)"
        )
    return FORMATS[format_name]


def mode_for(format_name: str, mode: str) -> str:
    """Return the mode in which a format holds an image of this mode without loss.

    Raises
    ------
    ConvcliError
        If it cannot; the message names formats that can.
    """
    row = row_of(format_name)
    if holds(format_name, mode):
        return row.widened.get(mode, mode)
    able = [name for name in FORMATS if holds(name, mode)]
    advice = _instead(able) if able else "no format that is written can"
    raise ConvcliError(f"{spelt(format_name)} cannot hold {meaning(mode)}; {advice}")


def holds(format_name: str, mode: str) -> bool:
    """Return whether a format holds an image of this mode without loss."""
    row = row_of(format_name)
    if mode[0].isdigit():
        return mode.endswith(row.bands)
    return mode in (*row.modes, *row.widened)


def check_size(format_name: str, width: int, height: int) -> None:
    """Raise `ConvcliError` for an image with more pixels on a side than a format can hold."""
    longest = row_of(format_name).longest
    if max(width, height) > longest:
        raise ConvcliError(
            f"{spelt(format_name)} cannot hold {width} x {height} pixels "
            f"(at most {longest} on a side); "
            f"{_instead(['PNG', 'TIFF'])}"
        )


def check_frames(format_name: str, own_format: str, frames: int) -> None:
    """Raise `ConvcliError` if a format cannot hold the frames of an image from another one."""
    if frames <= 1:
        return
    kind = FORMATS[own_format].frames or "animation"
    # Pages can hold an animation or images; an animation cannot hold pages of several sizes and
    # modes.
    able = [name for name, row in FORMATS.items() if row.frames in (kind, "pages")]
    what = "pages" if kind == "pages" else "frames"
    if own_format in STREAMED:
        able, what = ["TIFF", "PPM", "PAM"], "images"
    if format_name not in able:
        raise ConvcliError(
            f"{spelt(format_name)} cannot hold its {frames} {what}; {_instead(able)}"
        )


def _instead(able: list[str]) -> str:
    suffix = FORMATS[able[0]].suffixes[0]
    return f"write {listed(tuple(map(spelt, able)))} instead (-o NAME{suffix} or --format)"


def meaning(mode: str) -> str:
    """Return what a mode is, in words.

    >>> meaning("5;16S"), meaning("RGB;32F")
    ('5 signed 16-bit bands', 'float colour')
    """
    kind, _, suffix = mode.partition(";")
    if mode in _MEANING:
        return _MEANING[mode]
    if kind.isdigit():
        return f"{kind} {_SAMPLES[suffix]} bands"
    colour = _KINDS.get(kind, kind)
    return f"{_SAMPLES[suffix]} {colour}".strip()


_KINDS = {"L": "grey", "LA": "grey with transparency",
          "RGB": "colour", "RGBA": "colour with transparency",
          "CMYK": "CMYK colour", "LAB": "LAB colour", "Y": "YCbCr video"}  # fmt: skip
_SAMPLES = {"": "", "8": "8-bit", "16": "16-bit", "16S": "signed 16-bit", "32F": "float",
            "64F": "64-bit float"}  # fmt: skip

_MEANING = {
    "LA": "transparency",
    "RGBA": "transparency",
    "CMYK": "CMYK colour",
    "LAB": "LAB colour",
    "I;16": "16-bit samples",
    "LA;16": "16-bit samples with transparency",
    "RGB;16": "16-bit colour",
    "RGBA;16": "16-bit colour",
    "I": "32-bit samples",
    "F": "float samples",
}
