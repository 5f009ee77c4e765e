"""Picture formats: their suffixes, and what each of them can hold. Costs nothing to import."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from convcli.errors import ConvcliError, shown


class Format(NamedTuple):
    """A row of the table of formats.

    `modes` are the modes that are written as they are, in Pillow's words; `widened` maps
    others to one that loses nothing. `metadata` are the things that the format keeps.
    `frames` says of what kind its frames are: an animation's, pages, or that it has but one.
    `longest` is the most pixels that a side may have, where that is less than 2**31.
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
        ("icc_profile", "dpi", "exif", "xmp", "text", "gamma"),
        "animation",
    ),
    "JPEG": Format(
        (".jpg", ".jpeg", ".jfif"),
        ("L", "RGB", "CMYK"),
        {},
        ("icc_profile", "dpi", "exif", "xmp", "comment"),
        "",
        65_500,
    ),
    "TIFF": Format(
        (".tif", ".tiff"),
        ("L", "LA", "RGB", "RGBA", "CMYK", "LAB", "I;16", "RGB;16", "RGBA;16", "I", "F"),
        {"LA;16": "RGBA;16"},  # Pillow does not read what it would be
        ("icc_profile", "dpi", "exif", "xmp"),
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
    "AVIF": Format(  # larger ones are written, and read by nobody
        (".avif", ".avifs"),
        ("L", "RGB", "RGBA"),
        {"LA": "RGBA"},
        ("icc_profile", "exif", "xmp"),
        "animation",
        32_768,
    ),
    "BMP": Format((".bmp",), ("L", "RGB"), {}, ("dpi",)),
    "PPM": Format((".ppm", ".pgm", ".pnm", ".pbm"), ("L", "RGB", "I;16"), {}, ()),
    # Of transparency it has on and off.
    "GIF": Format(
        (".gif",), ("L", "RGB", "RGBA"), {"LA": "RGBA"}, ("comment",), "animation", 65_535
    ),
}
"""By Pillow's name. Nothing else is ever opened: a file's content chooses its decoder, and
some decoders (EPS) start other programs."""

LOSSY = ("JPEG", "WEBP", "AVIF")
"""The formats that have a quality."""

_BY_SUFFIX = {suffix: name for name, row in FORMATS.items() for suffix in row.suffixes}


def is_picture(path: Path) -> bool:
    """Whether a file's suffix says that it is a picture that can be read."""
    return path.suffix.lower() in _BY_SUFFIX


def format_of(path: Path) -> str:
    """Return the format that an output's suffix stands for.

    Raises
    ------
    ConvcliError
        If it stands for none; the message lists those that do.
    """
    try:
        return _BY_SUFFIX[path.suffix.lower()]
    except KeyError:
        known = ", ".join(_BY_SUFFIX)
        if not path.suffix:
            raise ConvcliError(
                f"{shown(path)}: a file needs a suffix ({known}) or --format; "
                "a folder that does not exist yet, a slash at its end"
            ) from None
        raise ConvcliError(
            f"{shown(path)}: the suffix {shown(path.suffix)} is no format that can be written; "
            f"use {known}, or --format"
        ) from None


def format_named(name: str) -> str:
    """Return the format that ``--format`` names: "png", "jpg", "tiff"..."""
    upper = name.upper().removeprefix(".")
    found = upper if upper in FORMATS else _BY_SUFFIX.get(f".{upper.lower()}")
    if found is None:
        raise ConvcliError(
            f"unknown format {name!r}; it must be one of {', '.join(FORMATS).lower()}"
        )
    return found


def mode_for(format_name: str, mode: str) -> str:
    """Return the mode in which a format holds a picture of this mode without loss.

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
    raise ConvcliError(
        f"{format_name} cannot hold {_MEANING.get(mode, mode)}; "
        f"write {' or '.join(able)} instead (-o NAME{FORMATS[able[0]].suffixes[0]} or --format)"
    )


def check_size(format_name: str, width: int, height: int) -> None:
    """Raise `ConvcliError` for a picture that is too long for a format."""
    longest = FORMATS[format_name].longest
    if max(width, height) > longest:
        raise ConvcliError(
            f"{format_name} cannot hold {width} x {height} pixels, at most {longest} a side; "
            "write PNG or TIFF instead (-o NAME.png or --format)"
        )


def check_frames(format_name: str, own_format: str, frames: int) -> None:
    """Raise `ConvcliError` where a format cannot hold the frames of a picture from another."""
    if frames <= 1:
        return
    kind = FORMATS[own_format].frames or "animation"
    # An animation can be pages; pages, of any size and kind, are no animation.
    able = [name for name, row in FORMATS.items() if row.frames in (kind, "pages")]
    if format_name not in able:
        what = "pages" if kind == "pages" else "frames"
        raise ConvcliError(
            f"{format_name} cannot hold its {frames} {what}; "
            f"write {' or '.join(able)} instead (-o NAME{FORMATS[able[0]].suffixes[0]} or --format)"
        )


_MEANING = {
    "LA": "transparency",
    "RGBA": "transparency",
    "CMYK": "CMYK colour",
    "LAB": "LAB colour",
    "I;16": "16-bit samples",
    "LA;16": "16-bit samples",
    "RGB;16": "16-bit colour",
    "RGBA;16": "16-bit colour",
    "I": "32-bit samples",
    "F": "float samples",
}
