"""``convcli compare``: how much two pictures differ, for people and for scripts."""

from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from convcli.cli.files import check_new, content_or_path, is_same, named
from convcli.cli.options import MaxPixels, Overwrite
from convcli.errors import ConvcliError, reason_of, shown

if TYPE_CHECKING:
    from convcli.image import Picture
    from convcli.image.comparison import Bar, Comparison

# Columns of the words, so that a terminal of 40 has room for the numbers beside them.
_LEFT = 20
_LONGEST_BAR = 48
# Frames that are named where they differ.
_MOST_NAMED = 8


def command(
    one: Annotated[str, typer.Argument(metavar="A", help="A picture; '-' is standard input.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PATH", help="Write the differences, amplified."),
    ] = None,
    overwrite: Overwrite = False,
    tolerance: Annotated[
        float,
        typer.Option(metavar="T", help="Differences of at most T levels count as none."),
    ] = 0.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on standard output.")
    ] = False,
    max_pixels: MaxPixels = None,
) -> None:
    """Compare two pictures: 0 if they are equal, 1 if not, 2 if that cannot be said.

    convcli compare photo.jpg photo.blur.jpg -o differences.png
    """
    import json
    import logging

    from convcli import image
    from convcli.checks import at_least_0
    from convcli.files.formats import format_of

    at_least_0(tolerance=tolerance)
    if one == other == "-":
        raise ConvcliError("standard input ('-') is one picture, and two are compared")
    if output is not None:
        format_of(output)
        check_new(output, overwrite)
        if is_same(output, one) or is_same(output, other):
            raise ConvcliError(f"{shown(output)} is one of the two that are compared")
    # As in `convcli.cli.run`: decoders log what they raise.
    logging.getLogger().addHandler(logging.NullHandler())
    image.limit_pixels(max_pixels)
    a, b = _read(one), _read(other)
    result: dict[str, Any] = {"a": one, "b": other, "tolerance": tolerance}
    try:
        notes, lines = _compare(a, b, (named(one), named(other)), output, overwrite, result)
        for note in notes:
            typer.echo(f"convcli: {note}", err=True)
        typer.echo(json.dumps(result) if as_json else "\n".join(lines))
    except BrokenPipeError:  # the reader went away, as `| head` does
        raise typer.Exit(141) from None
    except Exception as error:  # 1 would say that they differ
        raise ConvcliError(reason_of(error)) from error
    raise typer.Exit(0 if result["equal"] else 1)


def _compare(
    a: Picture,
    b: Picture,
    names: tuple[str, str],
    output: Path | None,
    overwrite: bool,
    result: dict[str, Any],
) -> tuple[list[str], list[str]]:
    """Compare what was read: fill the object that --json prints; return notes, and lines."""
    from convcli.image.comparison import alike, amplified, compare, differs

    frames = result["frames"] = a.frames, b.frames
    notes = [
        f"{name}: note: {note}"
        for name, picture in zip(names, (a, b), strict=True)
        for note in picture.notes
    ]
    same_size = a.pixels.shape[:2] == b.pixels.shape[:2]
    pair = alike(a, b) if same_size else None
    if pair is None:
        what = f"modes differ: {a.mode} and {b.mode}"
        reason = what if same_size else f"sizes differ: {_size(a)} and {_size(b)}"
        result.update(equal=False, reason=reason)
        if output is not None:
            notes.append(f"note: {shown(output)} was not written, as {reason}")
        return notes, [reason]
    if a.mode != b.mode:
        notes.append(f"note: {a.mode} and {b.mode} were compared as {pair[0].mode}")
    found = compare(*pair, result["tolerance"])
    same_count = frames[0] == frames[1]
    # Their frames after the first, each told apart from its like but not measured.
    later = enumerate(zip(a.later, b.later, strict=True), 2) if same_count else ()
    tolerance = result["tolerance"]
    differing = [number for number, (x, y) in later if differs(x, y, tolerance)]
    result["differing_frames"] = differing
    lines = _lines(found, names, frames, differing, tolerance)
    result["equal"] = found.beyond == 0 and same_count and not differing
    result |= _as_json(found)
    if output is not None:
        picture, factor = amplified(*pair, found)
        _write(picture, output, overwrite)
        result["factor"] = factor
        lines.append(f"wrote {shown(output)}: differences, {factor} times as large")
    return notes, lines


def _read(name: str) -> Picture:
    """Read a picture; what cannot be read is no answer, so that it ends the program."""
    from convcli import image

    try:
        return image.read(content_or_path(name))
    except Exception as error:  # decoders raise what they like
        raise ConvcliError(f"{named(name)}: {reason_of(error)}") from error


def _write(picture: Picture, path: Path, overwrite: bool) -> None:
    from convcli import image
    from convcli.files.formats import format_of

    try:
        image.write(picture, path, format_of(path), overwrite=overwrite)
    except Exception as error:  # the disk is full, or the picture too large for the format
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
    """Say what was found, a fact a line, and draw the histogram."""
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
        told = "after the first all equal"
        if frames[0] != frames[1]:
            told = "which differ"
        elif differing:
            told = f"after the first these differ: {', '.join(map(str, differing[:_MOST_NAMED]))}"
            if len(differing) > _MOST_NAMED:
                told += f" and {len(differing) - _MOST_NAMED} more"
        facts.append(("frames", f"{frames[0]} and {frames[1]}, {told}"))
    head = f"{names[0]} and {names[1]}: {found.width} x {found.height} {found.mode}"
    return [head, *(f"{word:{_LEFT}}{text}" for word, text in facts), *_histogram(found.histogram)]


def _share(count: int, whole: int) -> str:
    return f"{count} ({100 * count / whole:.3g} %)"


def _histogram(bars: list[Bar]) -> list[str]:
    """Draw how many samples differ by how much: in blocks for people, in ASCII for the rest."""
    whole = sum(bar.count for bar in bars)
    longest = max(bar.count for bar in bars)
    room = min(_LONGEST_BAR, shutil.get_terminal_size().columns - _LEFT - 9)
    is_terminal = (
        sys.stdout and sys.stdout.isatty() and "utf" in (sys.stdout.encoding or "").lower()
    )
    block = "\N{FULL BLOCK}" if is_terminal else "#"
    lines = []
    for bar in bars:
        # What there is, is seen.
        length = max(round(bar.count / longest * room), 1 if bar.count else 0)
        percent = 100 * bar.count / whole
        lines.append(f"{_range(bar):>{_LEFT - 3}}  {percent:7.3f} % {block * length}".rstrip())
    return lines


def _range(bar: Bar) -> str:
    """Name the differences of a bar: whole numbers as they are, floats by their limits."""
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


def _as_json(found: Comparison) -> dict[str, Any]:
    """Return what a script can use; JSON has no infinity, which becomes null."""

    def known(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "width": found.width,
        "height": found.height,
        "mode": found.mode,
        "largest": known(found.largest),
        "mean": known(found.mean),
        "pixels": found.width * found.height,
        "differing": found.differing,
        "beyond": found.beyond,
        "psnr": known(found.psnr),
        "peak": found.peak,
        "ssim": found.ssim,
        "histogram": [[bar.low, known(bar.high), bar.count] for bar in found.histogram],
    }
