"""The tables of a race: where everybody stands, while it runs and at the end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

from convcli.racing.results import BASES, ranked, speed_beside
from convcli.words import digits, duration, ratio

if TYPE_CHECKING:
    from rich.table import Table

    from convcli.racing.results import Result

_SHORTEST_BAR, _LONGEST_BAR = 4, 24
# What both kinds of tables have around a column, and once more.
_AROUND = 3

# Columns that a narrow terminal has no room for: the first goes first, and after all the bar.
_SPARED = ("spread", "error", "memory", *(f"x {base}" for base in reversed(BASES)))

# Others are what was raised; there is no room for that in a table.
_VERDICTS = {
    "": "",
    "wrong": "wrong",
    "changes its input": "wrong",
    "not for this kernel": "-",
    "over budget": "over budget",
}


def standings(results: Sequence[Result], width: int, fancy: bool) -> Table:
    """Return the table of one picture and kernel, the fastest first.

    Parameters
    ----------
    results : sequence of Result
        All for the same picture and kernel.
    width : int
        Columns of the terminal.
    fancy : bool
        Whether lines and blocks may be drawn; else all is ASCII.
    """
    rows = [result for result in ranked(results) if result.verdict != "not installed"]
    columns = {
        "contender": [result.contender for result in rows],
        "time": [_time(result) for result in rows],
        "spread": [f"{r.spread:.0%}" if r.rounds > 1 else "" for r in rows],
        **{f"x {base}": [_ratio(base, result, results) for result in rows] for base in BASES},
        "memory": [_memory(result) for result in rows],
        "error": ["" if r.error is None else digits(r.error) for r in rows],
    }
    room = width - _width_of(columns) - _AROUND
    for name in _SPARED:
        if room < _SHORTEST_BAR:
            room += _width_of({name: columns.pop(name)}) - 1
    shown = list(columns.items())
    if room >= _SHORTEST_BAR:
        length = min(room, _LONGEST_BAR)
        after = list(columns).index("spread" if "spread" in columns else "time") + 1
        shown.insert(after, ("", [_bar(r, rows, length, fancy) for r in rows]))
    table = _table(fancy)
    for name, _ in shown:
        left = name in ("contender", "")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for row in zip(*(cells for _, cells in shown), strict=True):
        table.add_row(*row)
    return table


def _width_of(columns: dict[str, list[str]]) -> int:
    return 1 + sum(_AROUND + max(map(len, (name, *cells))) for name, cells in columns.items())


def overviews(
    results: Sequence[Result], middle: tuple[int, int, int, int], fancy: bool
) -> Iterator[tuple[str, Table]]:
    """Yield the times by kernel and by picture, each with its title, where there are several.

    `middle` is the case that all others share something with, as `Result.case` has it.
    """
    by_kernel = [r for r in results if r.case[:2] == middle[:2]]
    by_picture = [r for r in results if r.case[2:] == middle[2:]]
    for title, along, named in (
        (f"{_picture(by_kernel[0])}, by kernel", by_kernel, attrgetter("kernel_name")),
        (f"kernel {by_picture[0].kernel_name}, by picture", by_picture, _megapixels),
    ):
        columns = {r.case: named(r) for r in along}
        if len(columns) < 2:
            continue
        if len({*columns.values()}) < len(columns):  # as many pixels, but other sides
            columns = {r.case: f"{r.width} x {r.height}" for r in along}
        table = _table(fancy)
        table.add_column("contender", no_wrap=True)
        for name in columns.values():
            table.add_column(name, justify="right", no_wrap=True)
        for contender in dict.fromkeys(r.contender for r in along):
            row = [r for r in along if r.contender == contender]
            if any(r.verdict != "not installed" for r in row):
                table.add_row(contender, *map(_time, row))
        yield title, table


def remarks(results: Sequence[Result]) -> Iterator[str]:
    """Yield what the signs of the tables mean, as far as they were needed."""
    if any(r.seconds is not None and r.is_extrapolated for r in results):
        yield "~ measured on a smaller picture and scaled by its pixels"
    missing = dict.fromkeys(r.contender for r in results if r.verdict == "not installed")
    if missing:
        yield f"not installed: {', '.join(missing)}"
    for r in results:
        if r.is_wrong:
            how = "of another shape or type"
            if r.verdict != "wrong":
                how = r.verdict
            elif r.error is not None and math.isfinite(r.error):
                how = f"off by up to {digits(r.error)} levels"
            yield f"{r.contender} is wrong: {case_title(r)}, {how}"
        elif r.verdict not in _VERDICTS and r.verdict != "not installed":
            yield f"{r.contender} failed: {case_title(r)}: {r.verdict}"
    unfit = dict.fromkeys(r.contender for r in results if r.verdict == "not for this kernel")
    if unfit:
        yield (
            f"- not for this kernel: {', '.join(unfit)} (Winograd's is for 3 x 3; numpy, numba, "
            "fft and tiled take columns and rows apart, where those are fewer weights, and with "
            "-dense any kernel)"
        )
    late = sum(r.verdict == "over budget" for r in results)
    if late:
        yield f"{late} of {len(results)} were not reached within the budget; --budget gives more"


def _table(fancy: bool) -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD if fancy else box.ASCII)


def case_title(result: Result) -> str:
    """Name the picture and the kernel of a table."""
    return f"{_picture(result)}, kernel {result.kernel_name}"


def _picture(result: Result) -> str:
    return f"{result.width} x {result.height} pixels ({_megapixels(result)})"


def _megapixels(result: Result) -> str:
    return f"{result.height * result.width / 1e6:.3g} MP"


def _time(result: Result) -> str:
    if result.seconds is None:
        return _VERDICTS.get(result.verdict, "failed")
    sign = "~" if result.is_extrapolated else ""
    return sign + duration(result.seconds)


def _bar(result: Result, results: Sequence[Result], length: int, fancy: bool) -> str:
    """Draw a time: one sign for the fastest, all for the slowest, as many for every doubling."""
    if not result.seconds:
        return ""
    times = [other.seconds for other in results if other.seconds]
    doublings = math.log2(max(times) / min(times))
    part = math.log2(result.seconds / min(times)) / doublings if doublings else 0.0
    return ("█" if fancy else "#") * (1 + round(part * (length - 1)))


def _ratio(base: str, result: Result, results: Sequence[Result]) -> str:
    times = speed_beside(base, result, results)
    return "" if times is None else ratio(times)


def _memory(result: Result) -> str:
    if result.memory is None:
        return ""
    sign = "~" if result.is_extrapolated else ""
    return f"{sign}{result.memory / 1e6:.1f} MB" if result.memory < 1e9 else (
        f"{sign}{result.memory / 1e9:.1f} GB"
    )  # fmt: skip
