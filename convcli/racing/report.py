"""One page of HTML about a race: curves, table, pictures, differences, and the machine."""

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
from convcli.racing.curves import (
    crossovers,
    described,
    heading,
    results_across,
    seconds,
)
from convcli.racing.results import BASES, Race, Result, ranked, speed_beside
from convcli.types import Pixels
from convcli.words import digits, duration, ratio

# Inches of the plots, for desktops and for phones: there a point is a little more than a pixel.
_WIDE, _NARROW = 6.0, 3.7

# Pixels of the pictures' longer sides. All look the same but for the ones before, and twenty
# photographs come to 3 MB.
_SHOWN = 400
_THUMBNAIL = 96

# Differences that are white: four times what methods may differ by, which is one level, or 1e-5
# of the largest sample of floats.
_WHITE = 4
_LEVEL_OF_FLOATS = 1e-5

# Letters of an error's text: a line of the table on a desktop.
_LONGEST_VERDICT = 80

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}

_Group = tuple[int, int, int, int]
"""As `Result.case`."""


def page(race: Race) -> str:
    """Make a page that needs nothing else: no network, no script, no other file.

    Parameters
    ----------
    race : Race
        What was measured; one result at least.

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
        title=f"Race of the methods: {_text(race.kernel)} kernel",
        lead=_lead(groups[main]),
        curves=_curves(race),
        table=_table(main, groups[main]),
        others="\n".join(_others({each: groups[each] for each in sorted(groups) if each != main})),
        pictures="\n".join(_pictures(race)),
        machine="\n".join(
            f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in race.machine.items()
        ),
    )


def _text(words: str) -> str:
    """Make a name harmless: file names are anything but a slash."""
    return escape(inert(words))


def _name(words: str) -> str:
    """Return a name that may be broken after its dots."""
    return _text(words).replace(".", ".<wbr>")


def _main_group(race: Race, groups: Iterable[_Group]) -> _Group:
    """Return the picture and kernel where both panels of the curves meet, if they do."""
    along_size = results_across(race, "size")[0]
    along_side = results_across(race, "side")[0]
    meeting = (*along_side.case[:2], *along_size.case[2:])
    return meeting if meeting in groups else next(iter(groups))


def _size(group: _Group) -> str:
    height, width, *_ = group
    return f"{width} x {height} pixels ({height * width / 1e6:.3g} megapixels)"


def _named(group: _Group) -> str:
    return f"{_size(group)}, kernel {group[2]}&nbsp;x&nbsp;{group[3]}"


def _lead(results: list[Result]) -> str:
    """Say who won, and by how much."""
    best = ranked(results)[0]
    if best.seconds is None:
        return '<p class="lead">No contender has a time here.</p>'
    ratios = [
        f"{_ratio(base, best, results)} times as fast as <code>{base}</code>"
        for base in BASES
        if base != best.contender and speed_beside(base, best, results) is not None
    ]
    return (
        f'<p class="lead"><strong>{_text(best.contender)}</strong> takes '
        f"<strong>{duration(best.seconds)}</strong> for {_named(best.case)}"
        f"{', ' if ratios else ''}{' and '.join(ratios)}.</p>"
    )


def _ratio(base: str, result: Result, results: list[Result]) -> str:
    """Say how many times as fast as another contender a result is."""
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
        label = _text(f"{words}; the table has the numbers.{''.join(found)}")
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
    """Return the results for one picture and one kernel, the fastest first."""
    timed = [seconds(result) for result in results if result.seconds is not None]
    bounds = (min(timed), max(timed)) if timed else (1.0, 1.0)
    head = "".join(f'<th scope="col">{column}</th>' for column in _COLUMNS)
    rows = "\n".join(_row(result, results, bounds) for result in ranked(results))
    return (
        f'<table class="results">\n<caption>{_named(group)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n"
    )


def _others(groups: dict[_Group, list[Result]]) -> Iterator[str]:
    """Yield the tables of other pictures and kernels, folded by pictures."""
    if groups:
        yield "<h3>Other pictures and kernels</h3>"
    for size, same in groupby(groups, _size):
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
            time = f"{sign}{time}<br><small>from {result.measured_pixels / 1e6:.2g} MP</small>"
        speed = result.height * result.width / 1e6 / result.seconds
        memory = "&ndash;" if result.memory is None else (f"{sign}{digits(result.memory / 1e6)} MB")
        cells = (
            form
            + f'<td class="time">{time}</td>'
            + _cell("spread", f"{result.spread:.0%}")
            + _cell("MP/s", digits(speed))
            + _cell("memory", memory)
            + "".join(_cell(f"&times; {base}", _ratio(base, result, results)) for base in BASES)
            + _cell("error", error)
        )
    return f'<tr class="{_text(result.kind)}" style="--part: {part:.0%}">{name}{cells}</tr>'


def _verdict(result: Result) -> str:
    """Return why there is no time, in a line: what was raised may be a page of its own."""
    words = inert(result.verdict)
    return words if len(words) <= _LONGEST_VERDICT else f"{words[: _LONGEST_VERDICT - 1]}…"


def _cell(label: str, value: str) -> str:
    """Return a cell with its column's name, which phones show, as they have no columns."""
    return f'<td><span class="label" aria-hidden="true">{label}</span>{value}</td>'


def _pictures(race: Race) -> Iterator[str]:
    """Yield the pictures before and after, and what is between each two after."""
    images = race.images
    if not images:
        return
    yield '<section aria-labelledby="pictures">\n<h2 id="pictures">Before and after</h2>'
    yield f'<p class="note">{_images_named(race)}</p>'
    yield '<div class="pictures">'
    for name, pixels in images.items():
        small = _smaller(_showable(pixels, race.mode), _SHOWN, np.add)
        source = _data(_in_bytes(small, images["picture"]))
        before = name == "picture"
        words = "the picture before" if before else f"the picture after {_text(name)}"
        caption = "before" if before else f"after {_name(name)}"
        yield (
            f'<figure><img src="{source}" alt="{words}"><figcaption>{caption}</figcaption></figure>'
        )
    yield "</div>\n</section>"
    after = {name: pixels for name, pixels in images.items() if name != "picture"}
    if len(after) > 1:
        yield from _differences(after)
    missing = _missing(race)
    if missing:
        yield f'<p class="note">Not among the pictures: {missing}.</p>'


def _images_group(race: Race) -> _Group:
    height, width = race.images["picture"].shape[:2]
    return height, width, *(race.images_kernel or (0, 0))


def _images_named(race: Race) -> str:
    """Say which picture and kernel the images are of, and what of them can be seen."""
    group = _images_group(race)
    words = f"{_named(group) if race.images_kernel else _size(group)}."
    if _is_strange(race.mode) and race.images["picture"].ndim == 3:
        words += f" Shown is the first channel of {_text(race.mode)}, as grey."
    return words


def _missing(race: Race) -> str:
    """Say who has no picture, by why not."""
    names: dict[str, list[str]] = defaultdict(list)
    for result in race.results:
        if result.case == _images_group(race) and result.contender not in race.images:
            reason = _verdict(result) or "measured on a smaller picture"
            names[reason].append(result.contender)
    return "; ".join(
        f"{', '.join(map(_name, each))} ({escape(reason)})" for reason, each in names.items()
    )


def _is_strange(mode: str) -> bool:
    """Whether channels are other than a PNG's: CMYK, LAB."""
    return mode.removesuffix(";16") not in ("", *_MODES.values())


def _showable(pixels: Pixels, mode: str) -> Pixels:
    """Return what a PNG can show: of other colours the first channel, as grey."""
    return pixels[..., 0] if _is_strange(mode) and pixels.ndim == 3 else pixels


def _differences(after: dict[str, Pixels]) -> Iterator[str]:
    """Yield a table of thumbnails, one for each pair."""
    names = list(after)
    pixels = after[names[0]]
    is_whole = np.issubdtype(pixels.dtype, np.integer)
    level = 1.0 if is_whole else _LEVEL_OF_FLOATS * float(np.abs(pixels).max() or 1)
    cells = {
        frozenset(pair): _difference(pair, (after[pair[0]], after[pair[1]]), level)
        for pair in combinations(names, 2)
    }
    unit = "level" if is_whole else f"step of {level:.2g}"
    yield (
        '<section aria-labelledby="differences">\n'
        '<h2 id="differences">Differences between each two</h2>\n'
        f'<p class="note">Amplified: a quarter of white is one {unit}, white is four and more. '
        "Each pixel of a thumbnail shows the largest difference of its place, the number below it "
        "the largest of all.</p>\n"
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
    small = _with_channels(_smaller(difference, _THUMBNAIL, np.maximum)).max(axis=2)
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


def _smaller(pixels: Pixels, most: int, join: np.ufunc) -> Pixels:
    """Join squares of pixels by their sum's mean (`numpy.add`) or their largest."""
    step = math.ceil(max(pixels.shape[:2]) / most)
    if step == 1:
        return pixels
    starts = [np.arange(0, length, step) for length in pixels.shape[:2]]
    wide = pixels.astype(np.float64) if join is np.add else pixels
    joined = join.reduceat(join.reduceat(wide, starts[0], axis=0), starts[1], axis=1)
    if join is np.add:
        rows, columns = (
            np.diff(start, append=length)
            for start, length in zip(starts, pixels.shape[:2], strict=True)
        )
        count = np.outer(rows, columns)
        joined /= count[..., None] if joined.ndim == 3 else count
    return joined.astype(pixels.dtype)


def _in_bytes(pixels: Pixels, whole: Pixels) -> Pixels:
    """Return samples as a screen shows them; the largest float of the picture before is white."""
    if pixels.dtype == np.uint8:
        return pixels
    white = 65535 if pixels.dtype == np.uint16 else float(np.abs(whole).max() or 1)
    return (np.clip(pixels / white, 0, 1) * 255 + 0.5).astype(np.uint8)


def _data(pixels: Pixels) -> str:
    """Return a PNG as an address that holds it."""
    pixels = np.ascontiguousarray(_with_channels(pixels))
    mode = _MODES[pixels.shape[2]]
    if mode == "L":
        pixels = pixels[..., 0]
    file = io.BytesIO()
    image.write(image.Picture(pixels, mode, "PNG"), file, "PNG", png_level=9)
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
