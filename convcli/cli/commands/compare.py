"""``convcli compare``: how much two images differ, as text or as JSON."""

from __future__ import annotations

import math
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from convcli.cli.options import MaxPixels, Overwrite
from convcli.cli.paths import check_new, content_or_path, named
from convcli.cli.screen import lines as messages
from convcli.errors import ConvcliError, reason_of, shown

if TYPE_CHECKING:
    from convcli.image import Picture
    from convcli.image.comparison import Bin, Comparison

# Columns of the names, so that a terminal of 40 columns has room for the numbers.
_LEFT = 20
_LONGEST_BAR = 48
# The most differing frames that are listed.
_MOST_NAMED = 8

# The keys of --json, always all of them; what does not apply is null.
_FIELDS = (
    "a", "b", "tolerance", "frames", "equal", "reason", "differing_frames", "width", "height",
    "mode", "largest", "mean", "pixels", "differing", "beyond", "psnr", "peak", "ssim",
    "histogram", "factor",
)  # fmt: skip


def command(
    one: Annotated[str, typer.Argument(metavar="A", help="First image, or '-'")],
    other: Annotated[str, typer.Argument(metavar="B", help="Second image, or '-'")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PATH", help="Write the differences, amplified, as an image"
        ),
    ] = None,
    overwrite: Overwrite = False,
    tolerance: Annotated[
        float,
        typer.Option(metavar="T", help="Ignore differences of at most T levels"),
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
    max_pixels: MaxPixels = None,
) -> None:
    """Compare two images, and print how much they differ.

    The exit status is 0 if they are equal, 1 if they differ, and 2 if they cannot be compared.

    Examples:
      convcli compare photo.jpg photo.blur.jpg -o differences.png
      convcli compare one.png other.png --tolerance 1 --json
    """
    import json
    import logging

    from convcli import image
    from convcli.checks import at_least_0
    from convcli.files.formats import format_of
    from convcli.files.places import is_same

    at_least_0(**{"--tolerance": tolerance})
    if one == other == "-":
        raise ConvcliError("standard input ('-') can be only one of the two images; name a file")
    if output is not None:
        format_of(output)
        check_new(output, overwrite)
        if any(name != "-" and is_same(output, name) for name in (one, other)):
            raise ConvcliError(f"-o {shown(output)} is one of the two inputs; choose another name")
    # As in `convcli.cli.run`: decoders also log what they raise.
    logging.getLogger().addHandler(logging.NullHandler())
    image.limit_pixels(max_pixels)
    a, b = _read(one), _read(other)
    try:
        found, notes, lines = _compare((a, b), (named(one), named(other)), tolerance)
        if output is not None:
            done = _write_differences(found, output, overwrite)
            if found.comparison:
                lines.append(done)
            else:
                notes.append((done, ""))
        result = _as_json(found) | {"a": one, "b": other, "tolerance": tolerance}
        for note in notes:
            typer.echo(messages.note(*note), err=True)
        typer.echo(json.dumps(result) if as_json else "\n".join(lines))
    except BrokenPipeError:  # the reader closed the pipe, as `| head` does
        raise typer.Exit(141) from None
    except OSError:  # of standard output; those of files are named where they come from
        raise
    except Exception as error:  # status 1 would mean that they differ
        raise ConvcliError(reason_of(error)) from error
    raise typer.Exit(0 if found.equal else 1)


@dataclass
class _Found:
    """How two images compare: `reason` says why they could not be, or `comparison` how much.

    `pair` are the images in one mode, and `factor` is what the differences that were written are
    amplified by.
    """

    frames: tuple[int, int]
    equal: bool
    reason: str | None = None
    pair: tuple[Picture, Picture] | None = None
    comparison: Comparison | None = None
    differing: list[int] | None = None
    factor: int | None = None


def _compare(
    pictures: tuple[Picture, Picture], names: tuple[str, str], tolerance: float
) -> tuple[_Found, list[tuple[str, str]], list[str]]:
    """Compare two images; return what was found, notes and their subjects, and lines to print."""
    from convcli.image.comparison import alike, compare, differs
    from convcli.image.picture import in_words

    a, b = pictures
    frames = a.frames, b.frames
    notes = [
        (note, name)
        for name, picture in zip(names, pictures, strict=True)
        for note in picture.notes
    ]
    same_size = a.pixels.shape[:2] == b.pixels.shape[:2]
    pair = alike(a, b) if same_size else None
    if pair is None:
        what = f"modes differ: {in_words(a.mode)} and {in_words(b.mode)}"
        reason = what if same_size else f"sizes differ: {_size(a)} and {_size(b)}"
        return _Found(frames, equal=False, reason=reason), notes, [reason]
    if a.mode != b.mode:
        both = f"{names[0]} and {names[1]}"
        one, other, shared = map(in_words, (a.mode, b.mode, pair[0].mode))
        notes.append((f"{one} and {other} were compared as {shared}", both))
    found = compare(*pair, tolerance)
    same_count = frames[0] == frames[1]
    # Later frames are compared for equality only.
    later = enumerate(zip(a.later, b.later, strict=True), 2) if same_count else ()
    differing = [number for number, (x, y) in later if differs(x, y, tolerance)]
    equal = found.beyond == 0 and same_count and not differing
    lines = _lines(found, names, frames, differing, tolerance)
    return _Found(frames, equal, None, pair, found, differing), notes, lines


def _write_differences(found: _Found, output: Path, overwrite: bool) -> str:
    """Write an image of the differences if there is one, and say what was done."""
    from convcli.image.comparison import amplified

    if found.comparison is None or found.pair is None:
        return f"note: {shown(output)} was not written, because {found.reason}"
    picture, found.factor = amplified(*found.pair, found.comparison)
    _write(picture, output, overwrite)
    return f"wrote {shown(output)}: differences, amplified {found.factor} times"


def _read(name: str) -> Picture:
    """Read an image, or raise `ConvcliError`: unlike a filter, this ends with status 2."""
    from convcli import image

    try:
        picture = image.read(content_or_path(name))
        if picture.format == "Y4M":
            raise ConvcliError("is a video, and compare takes images; extract the frames first")
        return picture
    except Exception as error:  # decoders may raise anything
        raise ConvcliError(f"{named(name)}: {reason_of(error)}") from error


def _write(picture: Picture, path: Path, overwrite: bool) -> None:
    from convcli import image
    from convcli.files.formats import format_of

    try:
        image.write(picture, path, format_of(path), overwrite=overwrite)
    except Exception as error:  # a full disk, or an image too large for the format
        raise ConvcliError(f"cannot write {shown(path)}: {reason_of(error)}") from error


def _size(picture: Picture) -> str:
    height, width = picture.pixels.shape[:2]
    return f"{width} x {height}"


def _lines(
    found: Comparison,
    names: tuple[str, str],
    frames: tuple[int, int],
    differing: list[int],
    tolerance: float,
) -> list[str]:
    """Return the results, one a line, and the histogram."""
    from convcli.image.picture import in_words

    pixels = found.width * found.height
    facts = [
        ("largest difference", f"{found.largest:.6g}"),
        ("mean difference", f"{found.mean:.4g}"),
        ("pixels that differ", _share(found.differing, pixels)),
    ]
    if tolerance:
        facts.append((f"by more than {tolerance:g}", _share(found.beyond, pixels)))
    psnr = f"{found.psnr:.2f}" if math.isfinite(found.psnr) else f"{found.psnr:g}"
    facts.append(("PSNR", f"{psnr} dB (peak {found.peak:g})"))
    facts.append(("SSIM", found.no_ssim if found.ssim is None else f"{found.ssim:.4f}"))
    if frames != (1, 1):
        found_later = "equal after the first"
        if frames[0] != frames[1]:
            found_later = "not the same number"
        elif differing:
            numbers = ", ".join(map(str, differing[:_MOST_NAMED]))
            if len(differing) > _MOST_NAMED:
                numbers += f" and {len(differing) - _MOST_NAMED} more"
            found_later = f"after the first, {numbers} differ{'s' * (len(differing) == 1)}"
        facts.append(("frames", f"{frames[0]} and {frames[1]}; {found_later}"))
    head = f"{names[0]} and {names[1]}: {found.width} x {found.height} {in_words(found.mode)}"
    return [head, *(f"{word:{_LEFT}}{text}" for word, text in facts), *_histogram(found.histogram)]


def _share(count: int, whole: int) -> str:
    return f"{count} ({100 * count / whole:.3g} %)"


def _histogram(bars: list[Bin]) -> list[str]:
    """Draw a histogram of the differences: in blocks on a terminal, otherwise in ASCII."""
    whole = sum(bar.count for bar in bars)
    longest = max(bar.count for bar in bars)
    room = min(_LONGEST_BAR, shutil.get_terminal_size().columns - _LEFT - 9)
    is_terminal = (
        sys.stdout and sys.stdout.isatty() and "utf" in (sys.stdout.encoding or "").lower()
    )
    block = "\N{FULL BLOCK}" if is_terminal else "#"
    lines = []
    for bar in bars:
        # A bar of any samples is visible.
        length = max(round(bar.count / longest * room), 1 if bar.count else 0)
        percent = 100 * bar.count / whole
        lines.append(f"{_range(bar):>{_LEFT - 3}}  {percent:7.3f} % {block * length}".rstrip())
    return lines


def _range(bar: Bin) -> str:
    """Return the differences that a bar counts: whole numbers, or the limits of floats."""
    if bar.high == 0:
        return "equal"
    if math.isinf(bar.high):
        return f"{bar.low:g} and more"
    if bar.low < 1e-300:
        return f"below {bar.high:.3g}"
    if bar.low >= 1 and bar.low.is_integer():
        last = bar.high - 1
        return f"by {bar.low:g}" if last == bar.low else f"{bar.low:g} to {last:g}"
    return f"{bar.low:.3g} to {bar.high:.3g}"


def _as_json(found: _Found) -> dict[str, Any]:
    """Return the results for JSON, always with all keys; there is no infinity: it becomes null."""

    def known(value: float) -> float | None:
        return value if math.isfinite(value) else None

    fields = dict.fromkeys(_FIELDS) | {
        "frames": found.frames,
        "equal": found.equal,
        "reason": found.reason,
        "differing_frames": found.differing,
        "factor": found.factor,
    }
    if (much := found.comparison) is not None:
        fields |= {
            "width": much.width,
            "height": much.height,
            "mode": much.mode,
            "largest": known(much.largest),
            "mean": known(much.mean),
            "pixels": much.width * much.height,
            "differing": much.differing,
            "beyond": much.beyond,
            "psnr": known(much.psnr),
            "peak": much.peak,
            "ssim": much.ssim,
            "histogram": [[bar.low, known(bar.high), bar.count] for bar in much.histogram],
        }
    return fields
