"""The figures in the README's table of speed are those of benchmarks/RESULTS.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"\d+(?:\.(\d+))?")


def speed(text):
    """Return the section of a README with speed in its heading."""
    (section,) = re.findall(r"^## [^\n]*(?:[Ss]peed|[Ff]ast).*?(?=^## |\Z)", text, re.M | re.S)
    return section


def rows(text):
    """Return the cells of the rows of a text's tables, without the headings."""
    lines = re.findall(r"^\|(.*)\|$", text, re.M)
    table = [[cell.strip() for cell in line.split("|")] for line in lines]
    rules = {number for number, cells in enumerate(table) if re.fullmatch("[:-]+", cells[0])}
    return [cells for number, cells in enumerate(table) if not {number, number + 1} & rules]


def measured():
    """Return the tables of the processor that the README names."""
    (processor,) = re.findall(r"Measured on an? (.*?\))", " ".join(speed(README).split()))
    (section,) = re.findall(rf"^## {re.escape(processor)}.*?(?=^## |\Z)", RESULTS, re.M | re.S)
    return section


MEASURED = {
    (work, peer): [work, *cells] for work, *cells in rows(measured()) for peer in cells[1:2]
}


def is_rounded(shown, measured):
    """Return whether a cell equals another one, or equals it rounded to fewer decimals."""
    found = NUMBER.search(shown)
    if not (found and (number := NUMBER.search(measured))):
        return shown == measured
    rounded = f"{float(number[0]):.{len(found[1] or '')}f}"
    return shown == measured.replace(number[0], rounded)


def differing(text):
    """Return the rows of a README's table that are not in RESULTS.md, or differ from it."""
    return [
        cells
        for cells in rows(speed(text))
        if len(cells) != 5
        or (cells[0], cells[2]) not in MEASURED
        or not all(map(is_rounded, cells, MEASURED[cells[0], cells[2]]))
    ]


def test_the_figures_are_those_of_the_results():
    """Each row repeats the first five cells of a row there; numbers may have fewer decimals.

    The cells are: work, convcli's cost, the peer, its cost, and the ratio.
    """
    assert len(rows(speed(README))) >= 5
    assert differing(README) == []


def test_the_machine_is_that_of_the_results():
    assert re.search(r"^- (\d+ cores),", measured(), re.M)[1] in " ".join(speed(README).split())


@pytest.mark.parametrize("column", [1, 3, 4])
def test_a_figure_that_differs_is_found(column):
    for cells in rows(speed(README)):
        number = NUMBER.search(cells[column])[0]
        other = [*cells]
        other[column] = cells[column].replace(number, number[:-1] + str((int(number[-1]) + 1) % 10))
        row = "| {} |".format(" | ".join(cells))
        assert README.count(row) == 1
        assert differing(README.replace(row, "| {} |".format(" | ".join(other)))) == [other]


@pytest.mark.parametrize(
    ("shown", "measured", "same"),
    [
        ("36 ms", "36.3 ms", True),
        ("36.3 ms", "36.3 ms", True),
        ("37 ms", "36.3 ms", False),
        ("36.30 ms", "36.3 ms", True),
        ("36.3 MB", "36.3 ms", False),
        ("0.59", "0.591", True),
        ("OpenCV", "OpenCV", True),
        ("OpenCV", "vips", False),
    ],
)
def test_numbers_may_have_fewer_decimals(shown, measured, same):
    assert is_rounded(shown, measured) == same
