"""The tables of a race: the standings of a case, the overviews, and remarks on their signs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from convcli.racing.results import BASES, megapixels, ranked, size_name, speed_beside
from convcli.words import digits, duration, ratio

if TYPE_CHECKING:
    from rich.table import Table

    from convcli.racing.results import Result

_SHORTEST_BAR, _LONGEST_BAR = 4, 24
# The style of the fastest on a terminal.
_WINNER = "bold green"

# Both kinds of tables have this many characters around a column, and once more at the edge.
_AROUND = 3

# Columns that a narrow terminal goes without: first these, in this order, then the bar.
_SPARED = ("spread", "error", "memory", *(f"x {base}" for base in reversed(BASES)))

# Other verdicts are exceptions, too long for a table.
_VERDICTS = {
    "": "",
    "wrong": "wrong",
    "changes its input": "wrong",
    "not for this kernel": "-",
    "over budget": "over budget",
}


def standings(results: Sequence[Result], width: int, fancy: bool) -> Table:
    """Return the table of one case, the fastest first.

    Parameters
    ----------
    results : sequence of Result
        All of the same case.
    width : int
        Columns of the terminal.
    fancy : bool
        Whether to draw with lines and blocks, or in ASCII.
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
    for base in BASES:
        if not any(columns[f"x {base}"]):  # it took no part, or has no time
            del columns[f"x {base}"]
    room = width - _width_of(columns) - _AROUND
    for name in _SPARED:
        if room < _SHORTEST_BAR and name in columns:
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
    best = _fastest(rows)
    for result, row in zip(rows, zip(*(cells for _, cells in shown), strict=True), strict=True):
        table.add_row(*row, style=_WINNER if result is best else None)
    return table


def _fastest(results: Sequence[Result]) -> Result | None:
    """Return the result with the shortest time, if several have one."""
    timed = [result for result in ranked(results) if result.seconds is not None]
    return timed[0] if len(timed) > 1 else None


def winner(results: Sequence[Result]) -> Iterator[str]:
    """Yield a line that names the fastest of one case, if several have a time."""
    if best := _fastest(results):
        yield f"{best.contender} is the fastest: {_time(best)}"


def _width_of(columns: dict[str, list[str]]) -> int:
    return 1 + sum(_AROUND + max(map(len, (name, *cells))) for name, cells in columns.items())


def overviews(
    results: Sequence[Result], middle: tuple[int, int, int, int], fancy: bool
) -> Iterator[tuple[str, Table]]:
    """Yield the table of times by kernel, and that by image size, if there are several of them.

    Each comes with its title. `middle` is the `Result.case` of which all others share the image
    size or the kernel.
    """
    from rich.text import Text

    by_kernel = [r for r in results if r.case[:2] == middle[:2]]
    by_size = [r for r in results if r.case[2:] == middle[2:]]
    kernels = {r.case: r.kernel_name for r in by_kernel}
    sizes = {r.case: megapixels(r.height, r.width) for r in by_size}
    if len({*sizes.values()}) < len(sizes):  # equal numbers of pixels with different sides
        sizes = {r.case: f"{r.width} x {r.height}" for r in by_size}
    for title, along, columns in (
        (f"{size_name(*middle[:2])}, by kernel", by_kernel, kernels),
        (f"kernel {by_size[0].kernel_name}, by image size", by_size, sizes),
    ):
        if len(columns) < 2:
            continue
        table = _table(fancy)
        table.add_column("contender", no_wrap=True)
        for name in columns.values():
            table.add_column(name, justify="right", no_wrap=True)
        best = [_fastest([r for r in along if r.case == case]) for case in columns]
        for contender in dict.fromkeys(r.contender for r in along):
            row = [r for r in along if r.contender == contender]
            if any(r.verdict != "not installed" for r in row):
                times = [Text(_time(r), _WINNER if r in best else "") for r in row]
                table.add_row(contender, *times)
        yield title, table


def remarks(results: Sequence[Result]) -> Iterator[str]:
    """Yield what the signs in the tables mean, if they occur, and what went wrong."""
    if any(r.seconds is not None and r.is_extrapolated for r in results):
        yield "~ timed on a smaller image and scaled by the number of pixels"
    missing = dict.fromkeys(r.contender for r in results if r.verdict == "not installed")
    if missing:
        yield f"not installed: {', '.join(missing)}"
    for r in results:
        if r.is_wrong:
            how = "its output has another shape or type"
            if r.verdict != "wrong":
                how = f"it {r.verdict}"
            elif r.error is not None and math.isfinite(r.error):
                how = f"its largest error is {digits(r.error)}"
            yield f"{r.contender} is wrong: {case_title(r)}: {how}"
        elif r.verdict not in _VERDICTS and r.verdict != "not installed":
            yield f"{r.contender} failed: {case_title(r)}: {r.verdict}"
    unfit = dict.fromkeys(r.contender for r in results if r.verdict == "not for this kernel")
    if unfit:
        yield (
            f"- not for this kernel: {', '.join(unfit)} (winograd needs 3 x 3 weights; skimage a "
            "Gaussian; numpy, numba, fft and tiled a separable kernel with fewer weights in its "
            "factors; with -dense they accept any kernel)"
        )
    late = sum(r.verdict == "over budget" for r in results)
    if late:
        yield f"over budget: {late} of {len(results)} were not timed; raise --budget"


def _table(fancy: bool) -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD if fancy else box.ASCII)


def case_title(result: Result) -> str:
    """Name the image size and the kernel of a case."""
    return f"{size_name(result.height, result.width)}, kernel {result.kernel_name}"


def _time(result: Result) -> str:
    if result.seconds is None:
        return _VERDICTS.get(result.verdict, "failed")
    sign = "~" if result.is_extrapolated else ""
    return sign + duration(result.seconds)


def _bar(result: Result, results: Sequence[Result], length: int, fancy: bool) -> str:
    """Draw a time as a bar, logarithmic: one block for the fastest, all for the slowest."""
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
