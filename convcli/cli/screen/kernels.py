"""Kernels in a terminal: weights as colours and as numbers, and a gallery of all kernels."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Sequence
from textwrap import fill

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convcli.cli.screen.blocks import Colours, has_blocks, reduced, text_of
from convcli.kernels.files import MOST_WRITTEN
from convcli.kernels.kernel import MOST_WEIGHTS, Kernel, Weights
from convcli.kernels.named import NAMED, default_words

# Rows and columns of the largest table that is printed whole.
_MOST_SHOWN = 25
# Significant digits of the largest weight, and the fewest.
_DIGITS = 4
_FEWEST_DIGITS = 2
# Numbers of a longer line that are printed at each of its ends.
_ENDS = 6

# Rows and columns of the drawing in a terminal: 12 of its 24 lines, so numbers have room.
_PICTURE = 24
# Weights (32 MB); a larger kernel is not expanded only for the drawing.
_MOST_PICTURED = 2**22

# Colours of weights at equal distances: viridis, or ColorBrewer's RdBu if some are negative.
_VIRIDIS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
_BLUE_RED = ((5, 48, 97), (67, 147, 195), (247, 247, 247), (214, 96, 77), (103, 0, 31))

# Of the gallery: the pixels on a side of a picture, half as many lines, and the width of an entry.
_SMALL = 10
_ENTRY = 40


def show(kernel: Kernel) -> None:
    """Print a kernel: size, sum and rank, a picture, weights, and factors if they are cheaper."""
    console = _console()
    height, width = kernel.shape
    # A kernel of zeros has rank 0, although it is applied as one term. Finding the rank of a
    # kernel without cheap factors could take many seconds.
    factors = kernel.cheap_factors if kernel.l1_norm else ()
    rank = "" if factors is None else f", rank {len(factors)}"
    console.print(f"{kernel.name}: {_size_and_sum(kernel)}{rank}")
    if _has_pictures(console) and height * width <= _MOST_PICTURED:
        console.print(text_of(_picture(kernel.weights, _PICTURE), console))
    if height * width > MOST_WEIGHTS:
        _print_filled(
            console,
            f"the {height * width} weights are too many to print or save (at most {MOST_WEIGHTS})",
        )
    else:
        is_large = min(height, width) > _MOST_SHOWN
        if is_large or not _print_table(console, kernel.weights):
            hint = "-o NAME.npy" if height * width > MOST_WRITTEN else "-o"
            hidden = "the weights are too many to print; " if is_large else ""
            _print_filled(console, f"{hidden}save them with {hint} to see all {height * width}")
    if not factors or min(height, width) == 1:
        return
    if len(factors) == 1:
        _print_product(console, factors[0], "separable: column ", "times row ")
    elif len(factors) * (height + width) < kernel.taps:
        console.print(f"the sum of {len(factors)} separable terms")
        for each in factors:
            _print_product(console, each, "  ", "times ")


def show_all() -> None:
    """Print every kernel that has a name: what it is, and how it looks with its usual numbers."""
    console = _console()
    if not _has_pictures(console):
        for name, (_, _, usage, text) in NAMED.items():
            kernel = NAMED[name].make()
            console.print(f"{usage}: {text}.  [{default_words(name)}: {_size_and_sum(kernel)}]")
        return
    columns = shutil.get_terminal_size().columns
    beside = max(1, columns // _ENTRY)
    room = columns // beside - _SMALL - 4
    grid = Table.grid(padding=(0, 2, 1, 0))
    for _ in range(beside):
        grid.add_column(width=_SMALL)
        grid.add_column(width=room, overflow="fold")
    cells: list[Text] = []
    for name, named in NAMED.items():
        kernel = named.make()
        cells.append(text_of(_picture(kernel.weights, _SMALL), console))
        first = Text(default_words(name), style="bold")
        usage = "" if named.usage == name else f"; {_broken(named.usage, room)}"
        cells.append(Text("\n").join([first, Text(named.text + usage)]))
    for number in range(0, len(cells), 2 * beside):
        grid.add_row(*cells[number : number + 2 * beside])
    console.print(grid)
    _print_filled(console, "The numbers in bold are the defaults: gaussian alone is gaussian:1.")


def _broken(usage: str, room: int) -> str:
    """Return a usage that is broken after commas, where it is too long for a line."""
    return " ".join(
        word if len(word) <= room else fill(word.replace(",", ", "), room).replace(", ", ",")
        for word in usage.split()
    )


def _console() -> Console:
    # Wider than any line: rich would wrap the factors, which a terminal does by itself.
    return Console(width=10_000, highlight=False, markup=False, emoji=False)


def _print_filled(console: Console, text: str) -> None:
    """Print a sentence; a terminal gets it broken between words."""
    room = shutil.get_terminal_size().columns
    console.print(fill(text, room) if console.is_terminal else text)


def _has_pictures(console: Console) -> bool:
    """Say whether standard output is a terminal with colours."""
    return bool(sys.stdout and sys.stdout.isatty() and has_blocks(console))


def _size_and_sum(kernel: Kernel) -> str:
    height, width = kernel.shape
    total = 0 if kernel.is_derivative else kernel.sum()
    return f"{width} x {height}, sum {total:.6g}"


def _picture(weights: Weights, side: int) -> Colours:
    """Draw weights as colours, of at most `side` rows and as many columns as fit."""
    side = min(side, shutil.get_terminal_size().columns)
    signed = bool(weights.min() < 0)
    largest = float(np.abs(weights).max()) or 1.0
    values = reduced(weights[..., np.newaxis], side, side)[..., 0]
    anchors = np.array(_BLUE_RED if signed else _VIRIDIS)
    at = (values / largest + signed) / (1 + signed) * (len(anchors) - 1)
    steps = np.arange(len(anchors))
    colours = np.stack([np.interp(at, steps, anchors[:, c]) for c in range(3)], axis=2)
    enlarged = max(1, side // max(values.shape))
    colours = colours.repeat(enlarged, axis=0).repeat(enlarged, axis=1)
    rounded: Colours = np.rint(colours).astype(np.uint8)
    return rounded


def _print_table(console: Console, weights: Weights) -> bool:
    """Print the weights, and say whether all are there.

    On a narrow terminal there are fewer digits; where these do not fit, or the kernel is large, the
    middle is left out.
    """
    room = shutil.get_terminal_size().columns if console.is_terminal else console.width
    height, width = weights.shape
    rows, whole = _kept(height, _MOST_SHOWN), min(width, _MOST_SHOWN)
    # Fewer digits, before columns are left out; fewest, where the ends alone are left.
    sizes = [(whole, digits) for digits in range(_DIGITS, _FEWEST_DIGITS - 1, -1)]
    sizes += [(most, n) for most in range(whole - 1, 1, -1) for n in range(_DIGITS, 2, -1)]
    for most, digits in [*sizes, (min(width, 2), _FEWEST_DIGITS)]:
        columns = _kept(width, most)
        table = _table(weights, (rows, columns), digits, console.is_terminal)
        if console.measure(table).maximum <= room:
            console.print(table)
            return None not in rows + columns
    return False


def _kept(length: int, most: int) -> list[int | None]:
    """Return the rows, or columns, that are printed: at most so many, None for the middle."""
    if length <= most:
        return list(range(length))
    first = most // 2
    return [*range(first), None, *range(length - (most - first), length)]


def _table(
    weights: Weights,
    kept: tuple[Sequence[int | None], Sequence[int | None]],
    digits: int,
    is_terminal: bool,
) -> Table:
    spec = number_format(weights, digits)
    rows, columns = kept
    table = Table(show_header=False, box=box.ROUNDED if is_terminal else box.ASCII)
    for _ in columns:
        table.add_column(justify="right", no_wrap=True)
    for i in rows:
        texts = []
        for j in columns:
            value = 0.0 if i is None or j is None else float(weights[i, j])
            texts.append("..." if i is None or j is None else format(value, spec) if value else "0")
        table.add_row(*texts)
    return table


def number_format(weights: Weights, digits: int = _DIGITS) -> str:
    """Return one format for all weights: `digits` of the largest, fewer if none is lost."""
    largest = float(np.abs(weights).max())
    if largest > 0 and not 1e-4 <= largest < 1e6:
        return f".{digits - 1}e"
    decimals = max(0, digits - 1 - math.floor(math.log10(largest or 1)))
    while decimals > 0 and np.allclose(weights.round(decimals - 1), weights, rtol=1e-9, atol=0):
        decimals -= 1
    return f"z.{decimals}f"


def _print_product(
    console: Console, factors: tuple[Weights, Weights], start: str, times: str
) -> None:
    """Print a column times a row; in a narrow terminal, in two lines."""
    room = shutil.get_terminal_size().columns if console.is_terminal else math.inf
    column, row = (_numbers(each, (room - len(start) - len(times) - 1) / 2) for each in factors)
    line = f"{start}{column} {times}{row}"
    if len(line) > room:
        column, row = (_numbers(each, room - len(start)) for each in factors)
        line = f"{start}{column}\n{times:>{len(start)}}{row}"
    console.print(line)


def _numbers(values: Weights, room: float) -> str:
    """Return numbers in at most so many columns, if two of them have room there."""
    shown = [f"{value:.4g}" for value in values]
    ends = _ENDS if len(shown) > _MOST_SHOWN else len(shown)
    while True:
        some = shown if 2 * ends >= len(shown) else [*shown[:ends], "...", *shown[-ends:]]
        text = f"[{' '.join(some)}]"
        if len(text) <= room or ends == 1:
            return text
        ends = min(ends - 1, (len(shown) - 1) // 2) or 1
