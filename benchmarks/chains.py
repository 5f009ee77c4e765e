"""Compare chains with the same filters called one after the other.

The first rows are in processor time of one core: filters of an array, and a chain of them. The last
is in time on the clock: commands that read and write files, with PNG between them.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from race import Row, command, photograph, race

import convcli
from convcli.racing.machine import machine
from convcli.types import Pixels

CONVCLI = [sys.executable, "-m", "convcli"]
EDGES = convcli.kernel("emboss")

CHAINS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "blur 2, filter 3 x 3, blur 1": [
        ("blur", {"sigma": 2}), ("convolve", {"kernel": EDGES}), ("blur", {"sigma": 1}),
    ],
    "blur 2, sharpen 1.5, blur 1": [
        ("blur", {"sigma": 2}), ("sharpen", {"sigma": 1.5}), ("blur", {"sigma": 1}),
    ],
    "blur 2, sharpen 1.5, edge": [
        ("blur", {"sigma": 2}), ("sharpen", {"sigma": 1.5}), ("edge", {}),
    ],
    "sharpen 1.5, three times": [("sharpen", {"sigma": 1.5})] * 3,
    "blur 5, three times": [("blur", {"sigma": 5})] * 3,
    "blur 7, three times": [("blur", {"sigma": 7})] * 3,
    "blur 10, three times": [("blur", {"sigma": 10})] * 3,
    "blur 13, three times": [("blur", {"sigma": 13})] * 3,
    "blur 20, three times": [("blur", {"sigma": 20})] * 3,
}  # fmt: skip

COMMANDS = ["blur --sigma 2", "sharpen --sigma 1.5", "blur --sigma 1"]


def processor(work: Callable[[], object]) -> Callable[[], float]:
    """Return what measures some work in milliseconds of processor time."""

    def measure() -> float:
        start = time.process_time()
        work()
        return (time.process_time() - start) * 1e3

    return measure


def arrays(image: Pixels) -> list[Row]:
    """Return the first rows: each filter alone, in one thread, is a contender."""

    def alone(name: str, own: dict[str, Any]) -> Callable[[], float]:
        verb = getattr(convcli, name)
        return processor(lambda: verb(image, method="numba", workers=1, **own))

    def together(stages: list[convcli.filtering.stages.Stage]) -> Callable[[], float]:
        return processor(lambda: convcli.chain(image, stages, method="numba", workers=1))

    return [
        Row(
            work,
            together([convcli.stage(name, **own) for name, own in several]),
            {f"stage {number}": alone(name, own) for number, (name, own) in enumerate(several, 1)},
        )
        for work, several in CHAINS.items()
    ]


def files(folder: Path, image: Pixels) -> Row:
    """Return the row of one command from JPEG to JPEG, and of three by way of PNG."""
    Image.fromarray(image).save(folder / "photo.jpg", quality=90)
    names = [str(folder / name) for name in ("photo.jpg", "one.png", "two.png", "out.jpg")]
    three = [
        command([*CONVCLI, *shlex.split(words), source, "-o", target, "-f"])
        for words, source, target in zip(COMMANDS, names, names[1:], strict=False)
    ]
    whole = [*CONVCLI, "chain", " | ".join(COMMANDS), names[0], "-o", names[-1], "-f"]
    return Row(
        "JPEG to JPEG", command(whole), {"three commands": lambda: sum(step() for step in three)}
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    width = round(1000 * (1.5 * arguments.megapixels) ** 0.5)
    image = photograph(width, round(width / 1.5))
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"{'chain':32}{'together':>12}{'alone':>12}{'ratio':>8}")
    for row in arrays(image):
        best = race(row, arguments.rounds)
        together, alone = best.pop("convcli"), sum(best.values())
        print(f"{row.work:32}{together:>9.0f} ms{alone:>9.0f} ms{together / alone:>8.2f}")
    with tempfile.TemporaryDirectory() as folder:
        row = files(Path(folder), image)
        best = race(row, arguments.rounds)
        one, three = best["convcli"], best["three commands"]
        print(f"{row.work:32}{one:>9.0f} ms{three:>9.0f} ms{one / three:>8.2f}")


if __name__ == "__main__":
    main()
