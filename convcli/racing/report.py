"""A race as one HTML page: curves, tables, images, differences, and the machine."""

from __future__ import annotations

import io
import math
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from itertools import combinations, groupby
from string import Template

import numpy as np

from convcli import image
from convcli.errors import inert
from convcli.racing import drawing
from convcli.racing.curves import crossovers, described, heading, results_across, seconds
from convcli.racing.results import (
    BASES,
    Race,
    Result,
    by_reason,
    ranked,
    size_name,
    speed_beside,
)
from convcli.types import Floats, Pixels
from convcli.words import digits, duration, ratio

# Widths of the plots in inches, for desktops and for phones, where a point is about a pixel.
_WIDE, _NARROW = 6.0, 3.7

# Longer sides of the images in pixels. All outputs look the same, and twenty photographs of this
# size take 3 MB.
_SHOWN = 400
_THUMBNAIL = 96

# Differences of four levels are white. Methods may differ by one; for floats a level is 1e-5 of the
# largest sample.
_WHITE = 4
_LEVEL_OF_FLOATS = 1e-5

# Characters of an error message: a line of the table on a desktop.
_LONGEST_VERDICT = 80

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}

_Group = tuple[int, int, int, int]
"""As `Result.case`."""


def page(race: Race) -> str:
    """Return a page that needs no network, no script and no other file.

    Parameters
    ----------
    race : Race
        With at least one result.

    Returns
    -------
    str
        HTML.
    """
    template = Template(files("convcli.racing").joinpath("report.html").read_text("utf-8"))
    groups: dict[_Group, list[Result]] = defaultdict(list)
    for result in race.results:
        groups[result.case].append(result)
    main = _main_group(race, groups)
    return template.substitute(
        title=f"Convolution benchmark: {_text(race.kernel)} kernel",
        lead=_lead(groups[main])
        + "".join(f'\n<p class="note">{_text(n)}.</p>' for n in race.notes),
        curves=_curves(race),
        table=_table(main, groups[main]),
        others="\n".join(_others({each: groups[each] for each in sorted(groups) if each != main})),
        images="\n".join(_images(race)),
        machine="\n".join(
            f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in race.machine.items()
        ),
    )


def _text(words: str) -> str:
    """Escape a name: file names may contain anything but a slash."""
    return escape(inert(words))


def _name(words: str) -> str:
    """Escape a name, and let a line break after its dots."""
    return _text(words).replace(".", ".<wbr>")


def _main_group(race: Race, groups: Iterable[_Group]) -> _Group:
    """Return the case that both panels of the curves share, if there is one."""
    along_size = results_across(race, "size")[0]
    along_side = results_across(race, "side")[0]
    meeting = (*along_side.case[:2], *along_size.case[2:])
    return meeting if meeting in groups else next(iter(groups))


def _named(group: _Group) -> str:
    return f"{size_name(*group[:2])}, kernel {group[2]}&nbsp;x&nbsp;{group[3]}"


def _lead(results: list[Result]) -> str:
    """Return the paragraph that names the fastest contender."""
    best = ranked(results)[0]
    if best.seconds is None:
        return '<p class="lead">No contender has a time in this case.</p>'
    ratios = [
        f"{_ratio(base, best, results)} times as fast as <code>{base}</code>"
        for base in BASES
        if base != best.contender and speed_beside(base, best, results) is not None
    ]
    return (
        f'<p class="lead"><strong>{_text(best.contender)}</strong> is the fastest with '
        f"<strong>{duration(best.seconds)}</strong> for {_named(best.case)}"
        f"{': ' if ratios else ''}{' and '.join(ratios)}.</p>"
    )


def _ratio(base: str, result: Result, results: list[Result]) -> str:
    """Return how many times as fast as another contender a result is."""
    times = speed_beside(base, result, results)
    if times is None:
        return "&ndash;"
    is_rough = any(each.is_extrapolated for each in results if each.contender == base)
    return f"{'≈&nbsp;' if is_rough or result.is_extrapolated else ''}{ratio(times)}"


def _curves(race: Race) -> str:
    sections = []
    for across in drawing.panels(race):
        words = heading(race, across)
        results = results_across(race, across)
        found = [f" {described(each, across)}." for each in crossovers(results, across)]
        label = _text(f"{words}; the numbers are in the table.{''.join(found)}")
        plots = "".join(
            f'<div class="{name}">'
            + drawing.svg(race, across, width).replace(
                "<svg", f'<svg role="img" aria-label="{label}"', 1
            )
            + "</div>"
            for name, width in (("wide", _WIDE), ("narrow", _NARROW))
        )
        sections.append(
            f'<section aria-labelledby="{across}">\n<h2 id="{across}">{words}</h2>\n'
            f"<figure>{plots}</figure>\n</section>"
        )
    return '<div class="curves">\n' + "\n".join(sections) + "\n</div>"


_COLUMNS = (
    "contender",
    "form",
    "time",
    "spread",
    "MP/s",
    "memory",
    *(f"&times; {base}" for base in BASES),
    "error",
)


def _table(group: _Group, results: list[Result]) -> str:
    """Return the table of one case, the fastest result first."""
    timed = [seconds(result) for result in results if result.seconds is not None]
    bounds = (min(timed), max(timed)) if timed else (1.0, 1.0)
    head = "".join(f'<th scope="col">{column}</th>' for column in _COLUMNS)
    rows = "\n".join(_row(result, results, bounds) for result in ranked(results))
    return (
        f'<table class="results">\n<caption>{_named(group)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n"
    )


def _others(groups: dict[_Group, list[Result]]) -> Iterator[str]:
    """Yield the tables of the other cases, folded by image size."""
    if groups:
        yield "<h3>Other image sizes and kernels</h3>"
    for size, same in groupby(groups, lambda group: size_name(*group[:2])):
        tables = "".join(_table(group, groups[group]) for group in same)
        yield f"<details>\n<summary>{size}</summary>\n{tables}</details>"


def _row(result: Result, results: list[Result], bounds: tuple[float, float]) -> str:
    name = f'<th scope="row">{_text(result.contender)}</th>'
    form = _cell("form", _text(result.form))
    error = "&ndash;" if result.error is None else digits(result.error)
    part = 0.0
    if result.seconds is None:
        kind = "verdict wrong" if result.is_wrong else "verdict"
        verdict = f'<td class="{kind}" colspan="6">{_text(_verdict(result))}</td>'
        cells = form + verdict + ("<td></td>" if result.error is None else _cell("error", error))
    else:
        fastest, slowest = bounds
        part = 0.03 + 0.97 * math.log(result.seconds / fastest) / (math.log(slowest / fastest) or 1)
        time = duration(result.seconds)
        sign = "≈&nbsp;" if result.is_extrapolated else ""
        if sign:
            time = f"{sign}{time}<br><small>from {_measured(result)}</small>"
        speed = result.height * result.width / 1e6 / result.seconds
        memory = "&ndash;" if result.memory is None else (f"{sign}{digits(result.memory / 1e6)} MB")
        cells = (
            form
            + f'<td class="time">{time}</td>'
            + _cell("spread", f"{result.spread:.0%}" if result.rounds > 1 else "&ndash;")
            + _cell("MP/s", digits(speed))
            + _cell("memory", memory)
            + "".join(_cell(f"&times; {base}", _ratio(base, result, results)) for base in BASES)
            + _cell("error", error)
        )
    return f'<tr class="{_text(result.kind)}" style="--part: {part:.0%}">{name}{cells}</tr>'


def _measured(result: Result) -> str:
    """Return the size of the smaller image that a time is extrapolated from."""
    pixels = result.measured_pixels
    return f"{pixels / 1e6:.2g} MP" if pixels >= 1000 else f"{pixels} pixels"


def _verdict(result: Result) -> str:
    """Return why there is no time, in a line: messages of exceptions can be long."""
    words = inert(result.verdict)
    return words if len(words) <= _LONGEST_VERDICT else f"{words[: _LONGEST_VERDICT - 1]}…"


def _cell(label: str, value: str) -> str:
    """Return a cell with its column's name, shown on phones, where there are no columns."""
    return f'<td><span class="label" aria-hidden="true">{label}</span>{value}</td>'


def _images(race: Race) -> Iterator[str]:
    """Yield the input and the outputs, and the differences of each two outputs."""
    images = race.images
    if not images:
        return
    yield '<section aria-labelledby="images">\n<h2 id="images">Input and outputs</h2>'
    yield f'<p class="note">{_images_named(race)}</p>'
    yield '<div class="images">'
    for name, pixels in images.items():
        source = _data(_in_bytes(_reduced(_showable(pixels, race.mode)), images["picture"]))
        is_input = name == "picture"
        words = "input" if is_input else f"output of {_text(name)}"
        caption = "input" if is_input else _name(name)
        yield (
            f'<figure><img src="{source}" alt="{words}"><figcaption>{caption}</figcaption></figure>'
        )
    yield "</div>"
    missing = _missing(race)
    if missing:
        yield f'<p class="note">Not shown: {missing}.</p>'
    yield "</section>"
    outputs = {name: pixels for name, pixels in images.items() if name != "picture"}
    if len(outputs) > 1:
        yield from _differences(outputs)


def _images_group(race: Race) -> _Group:
    height, width = race.images["picture"].shape[:2]
    return height, width, *(race.images_kernel or (0, 0))


def _images_named(race: Race) -> str:
    """Return the case of the images, and which channel is shown if it is not all."""
    group = _images_group(race)
    words = f"{_named(group) if race.images_kernel else size_name(*group[:2])}."
    if _is_strange(race.mode) and race.images["picture"].ndim == 3:
        words += f" Only the first channel of {_text(race.mode)} is shown, as grey."
    return words


def _missing(race: Race) -> str:
    """Name the contenders without an image, and the reasons."""
    return by_reason(
        {
            _name(result.contender): escape(_verdict(result) or "timed on a smaller image")
            for result in race.results
            if result.case == _images_group(race) and result.contender not in race.images
        }
    )


def _is_strange(mode: str) -> bool:
    """Whether a PNG cannot have these channels: CMYK, LAB."""
    return mode.removesuffix(";16") not in ("", *_MODES.values())


def _showable(pixels: Pixels, mode: str) -> Pixels:
    """Return pixels that a PNG can hold: only the first channel of CMYK and LAB."""
    return pixels[..., 0] if _is_strange(mode) and pixels.ndim == 3 else pixels


def _differences(outputs: dict[str, Pixels]) -> Iterator[str]:
    """Yield a table of thumbnails, one for each pair of outputs."""
    names = list(outputs)
    pixels = outputs[names[0]]
    is_whole = np.issubdtype(pixels.dtype, np.integer)
    level = 1.0 if is_whole else _LEVEL_OF_FLOATS * float(np.abs(pixels).max() or 1)
    cells = {
        frozenset(pair): _difference(pair, (outputs[pair[0]], outputs[pair[1]]), level)
        for pair in combinations(names, 2)
    }
    unit = "level" if is_whole else f"step of {level:.2g}"
    yield (
        '<section aria-labelledby="differences">\n'
        '<h2 id="differences">Differences between outputs</h2>\n'
        f'<p class="note">Differences are amplified: one {unit} is a quarter of white, four or '
        "more are white. Each pixel of a thumbnail shows the largest difference of the pixels that "
        "it stands for. The number below is the largest difference of all.</p>\n"
        '<div class="scroll" tabindex="0" role="region" aria-labelledby="differences">\n'
        '<table class="pairs">'
    )
    columns = "".join(f'<th scope="col">{_name(name)}</th>' for name in names[:-1])
    yield f"<thead><tr><td></td>{columns}</tr></thead>\n<tbody>"
    for row, name in enumerate(names[1:], 1):
        found = "".join(cells[frozenset((name, other))] for other in names[:row])
        yield f'<tr><th scope="row">{_name(name)}</th>{found}</tr>'
    yield "</tbody>\n</table>\n</div>\n</section>"


def _difference(names: tuple[str, str], pair: tuple[Pixels, Pixels], level: float) -> str:
    first, second = pair
    difference = np.maximum(first, second) - np.minimum(first, second)  # unsigned stays unsigned
    small = _with_channels(_joined(difference, _THUMBNAIL, np.maximum)).max(axis=2)
    largest = float(small.max())
    grey = np.clip(small * (255 / (_WHITE * level)), 0, 255).astype(np.uint8)
    words = f"{_text(names[0])} and {_text(names[1])}: {digits(largest)} at most"
    height, width = grey.shape
    return (
        f'<td><img src="{_data(grey)}" alt="{words}" title="{words}" width="{width}" '
        f'height="{height}">{digits(largest)}</td>'
    )


def _with_channels(pixels: Pixels) -> Pixels:
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _joined(pixels: Pixels, most: int, join: np.ufunc) -> Pixels:
    """Join squares of pixels into one each, until no side is longer than `most`."""
    step = math.ceil(max(pixels.shape[:2]) / most)
    rows, columns = (np.arange(0, length, step) for length in pixels.shape[:2])
    joined: Pixels = join.reduceat(join.reduceat(pixels, rows, axis=0), columns, axis=1)
    return joined


def _reduced(pixels: Pixels) -> Floats:
    """Reduce an image to the size that is shown, by the means of squares."""
    wide = pixels.astype(np.float64)
    means: Floats = _joined(wide, _SHOWN, np.add) / _joined(np.ones_like(wide), _SHOWN, np.add)
    return means


def _in_bytes(pixels: Floats, given: Pixels) -> Pixels:
    """Scale samples to bytes; of floats the largest sample of the input becomes white."""
    is_whole = np.issubdtype(given.dtype, np.integer)
    white = np.iinfo(given.dtype).max if is_whole else float(np.abs(given).max() or 1)
    scaled: Floats = np.clip(pixels / white, 0, 1) * 255 + 0.5
    return scaled.astype(np.uint8)


def _data(pixels: Pixels) -> str:
    """Return a PNG as a data URL."""
    pixels = np.ascontiguousarray(_with_channels(pixels))
    mode = _MODES[pixels.shape[2]]
    if mode == "L":
        pixels = pixels[..., 0]
    file = io.BytesIO()
    image.write(image.Picture(pixels, mode, "PNG"), file, "PNG", png_level=9)
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
