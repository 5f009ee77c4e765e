"""Image formats: their suffixes and what each of them can hold. Imports no other package."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from convcli.errors import ConvcliError, shown
from convcli.words import listed


class Format(NamedTuple):
    """A row of the table of formats.

    `modes` are the modes that are written unchanged, by Pillow's names; `widened` maps other
    modes to one that loses nothing. `metadata` names what the format keeps. `frames` is the
    kind of its frames: those of an animation, pages, or "" for a single image. `longest` is
    the limit on the pixels of a side, where that is less than 2**31.
    """

    suffixes: tuple[str, ...]
    modes: tuple[str, ...]
    widened: dict[str, str]
    metadata: tuple[str, ...]
    frames: Literal["animation", "pages", ""] = ""
    longest: int = 2**31 - 1


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
        ("L", "LA", "RGB", "RGBA", "CMYK", "LAB", "I;16", "RGB;16", "RGBA;16", "I", "F"),
        {"LA;16": "RGBA;16"},  # Pillow cannot read LA;16 in TIFF
        ("icc_profile", "dpi", "exif", "xmp", "tags"),
        "pages",
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
    "PPM": Format((".ppm", ".pgm", ".pnm", ".pbm"), ("L", "RGB", "I;16"), {}, ()),
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
"""By Pillow's names. No other decoder is used: the content of a file chooses its decoder, and
some decoders (EPS) start other programs."""

LOSSY = ("JPEG", "WEBP", "AVIF")
"""The formats that have a quality setting."""

STREAMED = ("PPM",)
"""Formats of a single image, of which several may stand one after the other in a file or pipe."""

IN_PARTS = {"NPY": (".npy",), "ZARR": (".zarr",)}
"""Suffixes of the formats that are read and written in parts; see `convcli.sources`."""

_SUFFIXES = {name: row.suffixes for name, row in FORMATS.items()} | IN_PARTS

_BY_SUFFIX = {suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes}


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
        known = listed(tuple(_BY_SUFFIX))
        what = f"the suffix {shown(path.suffix)} is unknown" if path.suffix else "has no suffix"
        raise ConvcliError(f"{shown(path)}: {what}; use {known}") from None


def format_named(name: str) -> str:
    """Return the format that ``--format`` names: "png", "jpg", "tiff"..."""
    upper = name.upper().removeprefix(".")
    found = upper if upper in _SUFFIXES else _BY_SUFFIX.get(f".{upper.lower()}")
    if found is None:
        known = listed(tuple(dict.fromkeys((*FORMATS, *IN_PARTS))))
        raise ConvcliError(f"unknown format {name!r}; it must be {known.lower()}")
    return found


def suffix_of(format_name: str) -> str:
    """Return the usual suffix of a format."""
    return _SUFFIXES[format_name][0]


def mode_for(format_name: str, mode: str) -> str:
    """Return the mode in which a format holds an image of this mode without loss.

    Raises
    ------
    ConvcliError
        If it cannot; the message names formats that can.
    """
    row = FORMATS[format_name]
    if mode in row.modes:
        return mode
    if mode in row.widened:
        return row.widened[mode]
    able = [name for name, other in FORMATS.items() if mode in (*other.modes, *other.widened)]
    raise ConvcliError(f"{format_name} cannot hold {_MEANING.get(mode, mode)}; {_instead(able)}")


def check_size(format_name: str, width: int, height: int) -> None:
    """Raise `ConvcliError` for an image with more pixels on a side than a format can hold."""
    longest = FORMATS[format_name].longest
    if max(width, height) > longest:
        raise ConvcliError(
            f"{format_name} cannot hold {width} x {height} pixels (at most {longest} on a side); "
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
        able, what = ["TIFF", *STREAMED], "images"
    if format_name not in able:
        raise ConvcliError(f"{format_name} cannot hold its {frames} {what}; {_instead(able)}")


def _instead(able: list[str]) -> str:
    suffix = FORMATS[able[0]].suffixes[0]
    return f"write {listed(tuple(able))} instead (-o NAME{suffix} or --format)"


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
