"""Both tables, array to array and whole processes, against the peers that are installed.

It needs the `bench` extra, and Debian's libvips-tools, imagemagick and graphicsmagick for the
rows against them. It takes about five minutes on two cores::

    python benchmarks/run.py
    python benchmarks/run.py --only sobel "24 MP" --rounds 20
    python benchmarks/run.py --write benchmarks/RESULTS.md
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import arrays
import commands
import numpy as np
from race import INSTALLED, PROGRAMS, Row, race
from rich.box import SIMPLE
from rich.console import Console
from rich.live import Live
from rich.table import Table

import convcli
from convcli.words import METHODS

LIMITS = {
    **{f"blur sigma 1, {name}": {"OpenCV": 1.0} for name in ("grey", "RGB")},
    **{f"blur sigma 3, {name}": {"OpenCV": 0.7} for name in ("grey", "RGB")},
    **{f"blur sigma 8, {name}": {"OpenCV": 0.4} for name in ("grey", "RGB")},
    **{f"blur sigma 20, {name}": {"OpenCV": 0.1} for name in ("grey", "RGB")},
    "blur sigma 100, grey": {"OpenCV": 0.02},
    "blur sigma 3, grey float32": {"OpenCV": 0.9},
    "blur sigma 20, grey float32": {"OpenCV": 0.2},
    "dense 3x3, grey": {"OpenCV": 0.8},
    "dense 5x5, grey": {"OpenCV": 0.6},
    "dense 9x9, grey": {"OpenCV": 0.5},
    "dense 15x15, grey": {"OpenCV": 0.3},
    "dense 31x31, grey": {"OpenCV": 0.7},
    "dense 63x63, grey": {"OpenCV": 0.7},
    "dense 127x127, grey": {"OpenCV": 0.7},
    "Sobel magnitude, grey": {"OpenCV": 0.5},
    "blur sigma 200, grey": {"convcli, sigma 5": 1.3},
    # The cost per pixel counts as flat if it varies by no more than this.
    "blur sigma 3, 25 of 1 MP": {"convcli, 1 of 25 MP": 1.3},
    "blur sigma 3, 1 of 100 MP": {"convcli, 4 of 25 MP": 1.3},
    "tiled dense 31x31, 2 workers": {"convcli, 1 worker": 1 / 1.7},
    "24 MP JPEG, sigma 3": {"OpenCV": 0.95},
    "24 MP JPEG, sigma 20": {"OpenCV": 0.45},
    "24 MP JPEG, edge": {"OpenCV": 0.9},
    "24 MP PNG, sigma 3": {"OpenCV": 1.0},
    "1 MP JPEG, sigma 3": {"ImageMagick": 1.2},
    "60 JPEGs of 2 MP, sigma 3": {"OpenCV": 0.8, "vips": 0.45},
    "convcli --version": {"python -c pass": 6.0},
    "convcli --help": {"python -c pass": 12.0},
    "peak memory, 24 MP JPEG, auto": {"OpenCV": 1.3},
}
"""The highest cost that convcli may have, as a multiple of a peer's. Other rows have no limit."""

INTRODUCTION = """# Results

With the `bench` extra, `python benchmarks/run.py --write benchmarks/RESULTS.md` writes the section
of the processor that it runs on, and leaves those of other processors as they are. Each figure is
the best of several rounds, in which the contenders take turns, after a warm-up round; rows that
take seconds have fewer rounds. The ratio is convcli's cost over the peer's. Images are 8-bit, of
24 megapixels, unless a row says otherwise."""

HEADINGS = ("work", "convcli", "peer", "", "ratio", "limit", "")
PACKAGES = (
    "numpy",
    "numba",
    "Pillow",
    "isal",
    "opencv-python-headless",
    "scipy",
    "scikit-image",
    "typer",
)


@dataclass(frozen=True)
class Result:
    """Convcli against one peer."""

    work: str
    convcli: float
    peer: str
    other: float
    unit: str

    @property
    def limit(self) -> float | None:
        """The highest ratio allowed, if there is a limit."""
        return LIMITS.get(self.work, {}).get(self.peer)

    @property
    def missed(self) -> bool:
        """Whether the ratio is above its limit."""
        return self.limit is not None and self.convcli / self.other > self.limit

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the row, in the order of HEADINGS."""
        limit = "" if self.limit is None else f"{self.limit:.2f}"
        ours, other = (
            f"{cost:.{1 if cost < 100 else 0}f} {self.unit}" for cost in (self.convcli, self.other)
        )
        ratio = f"{self.convcli / self.other:.3f}"
        return self.work, ours, self.peer, other, ratio, limit, "MISSED" if self.missed else ""


def results(rows: Iterable[Row], only: list[str], rounds: int) -> Iterator[Result]:
    """Race the rows whose name contains one of the words in `only`, or every row if it is empty."""
    for row in rows:
        if only and not any(word.lower() in row.work.lower() for word in only):
            continue
        best = race(row, rounds)
        for peer in list(best)[1:]:
            yield Result(row.work, best["convcli"], peer, best[peer], row.unit)


def processor() -> str:
    """Return the heading of its results: the processor, its family, vectors and first cache."""
    try:
        about = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        found = dict(re.findall(r"^([\w ]+?)\s*: (.+)$", about, re.M))
        family = f"(family {found['cpu family']}, model {found['model']})"
        flags = found["flags"].split()
        l1 = Path("/sys/devices/system/cpu/cpu0/cache/index0/size").read_text(encoding="utf-8")
    except (OSError, KeyError):  # not Linux, or not x86
        return platform.processor() or platform.machine()
    vectors = "AVX-512" if "avx512vl" in flags else "AVX2" if "avx2" in flags else "SSE"
    return f"{found['model name']} {family}, {vectors}, {l1.strip().removesuffix('K')} kB L1"


def machine() -> list[str]:
    """Return lines that name the machine and the versions of everything that took part."""
    # Other work on the machine spoils the figures, so readers should see the load.
    load = f"{os.getloadavg()[0]:.1f} before the run"
    lines = [f"{os.cpu_count()} cores, {platform.system()}, load average {load}"]
    versions = [f"convcli {convcli.__version__}", f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} not installed")
    for name, arguments in PROGRAMS.items():
        if INSTALLED[name]:
            said = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
            found_version = re.search(r"\d+\.\d[\d.-]*", said)
            versions.append(f"{name} {found_version[0] if found_version else '?'}")
    lines.append(", ".join(versions))
    lines += [
        f"{name} is missing, or does not run: left out"
        for name, here in INSTALLED.items()
        if not here
    ]
    return lines


def drawn(title: str, table: list[Result]) -> Table:
    """Return a table for the terminal."""
    shown = Table(*HEADINGS, title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for column in (1, 3, 4, 5):
        shown.columns[column].justify = "right"
    for result in table:
        shown.add_row(*result.cells(), style="red" if result.missed else None)
    return shown


def markdown(about: list[str], tables: dict[str, list[Result]], rounds: int) -> str:
    """Return the section of this processor: the tables, with the machine."""
    lines = [
        f"## {processor()}",
        "",
        *(f"- {line}" for line in about),
        f"- best of {rounds} rounds",
    ]
    for title, table in tables.items():
        lines += ["", f"### {title}", "", f"| {' | '.join(HEADINGS)} |"]
        lines.append("|---|--:|---|--:|--:|--:|---|")
        lines += [f"| {' | '.join(result.cells())} |" for result in table]
    return "\n".join(lines) + "\n"


def written_into(text: str, section: str) -> str:
    """Return the results with this section in place of the older one of the same processor."""
    _, *others = re.split(r"^(?=## )", text, flags=re.M)
    sections = {each.partition("\n")[0]: each.rstrip() for each in [*others, section]}
    return "\n\n".join([INTRODUCTION, *sections.values()]) + "\n"


def compile_loops() -> None:
    """Compile convcli's loops: auto does so only where the images of one run pay for it."""
    dense = np.random.default_rng(0).random((7, 7))
    for dtype in ("uint8", "float32"):
        image = np.zeros((64, 64, 3), dtype)
        for sigma in (3.0, 30.0):
            convcli.blur(image, sigma, method="numba")
        convcli.edge(image, method="numba")
        convcli.convolve(image, dense, method="numba")


def main() -> None:
    """Race, print, and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="best of how many (9)")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="rows with a WORD")
    parser.add_argument("--method", choices=METHODS, default="auto", help="convcli's method (auto)")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="also write this processor's section of FILE"
    )
    asked = parser.parse_args()
    # A pipe has no width, and rich's 80 columns would break the names of the rows.
    console = Console(width=None if sys.stdout.isatty() else 120)
    about = [f"{datetime.now(UTC):%Y-%m-%d}, convcli's method {asked.method}", *machine()]
    console.print(processor(), *about, sep="\n", highlight=False)
    compile_loops()
    tables: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for title, rows in (
            ("Array to array", arrays.rows(asked.method)),
            ("Whole processes", commands.rows(asked.method, Path(folder))),
        ):
            # Drawn between the rows only: a drawing thread would disturb the race.
            with Live(console=console, auto_refresh=False) as live:
                for result in results(rows, asked.only, asked.rounds):
                    tables.setdefault(title, []).append(result)
                    live.update(drawn(title, tables[title]), refresh=True)
            if not console.is_terminal:
                console.print()  # rich leaves the last line open there
    if asked.write:
        before = asked.write.read_text(encoding="utf-8") if asked.write.exists() else ""
        section = markdown(about, tables, asked.rounds)
        asked.write.write_text(written_into(before, section), encoding="utf-8")


if __name__ == "__main__":
    main()
