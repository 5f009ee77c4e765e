"""What each word of --method stands for, and what it needs to be installed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import Literal, NamedTuple

from convcli.checks import count, word
from convcli.errors import ConvcliError
from convcli.words import METHODS, Method

Executor = Literal["threads", "processes"]


class Preset(NamedTuple):
    """What a word of --method stands for, and the package without which it cannot run."""

    loop: str
    executor: Executor
    package: str | None = None


PRESETS: dict[Method, Preset] = {
    "numpy": Preset("direct_numpy", "threads"),
    "numba": Preset("direct_numba", "threads", "numba"),
    "fft": Preset("overlap_add", "threads"),
    "tiled": Preset("direct_numba", "processes", "pathos"),
}


IN_THREADS = "--method numba, which uses threads"
"""What messages suggest where processes cannot be used."""


def check_method(method: Method, without: Mapping[str, str] | None = None) -> None:
    """Raise `ConvcliError` for an unknown method, or one that this system or its packages lack.

    `without` names packages that cannot be imported, and why.
    """
    word(method, "method", METHODS)
    package = None if method == "auto" else PRESETS[method].package
    if package is None:
        return
    problem = (without or {}).get(package)
    if problem:
        raise ConvcliError(
            f"method {method!r} needs the package {package}, which {problem}; choose another method"
        )
    if not is_installed(package):
        raise ConvcliError(
            f"method {method!r} needs the package {package}, which is not installed; "
            f"pip install {package}, or choose another method"
        )
    if PRESETS[method].executor == "processes" and not hasattr(os, "fork"):  # Windows
        raise ConvcliError(
            f"method {method!r} needs fork, which this system lacks; use {IN_THREADS}"
        )


@cache
def is_installed(package: str) -> bool:
    """Say whether a package is there; it is not imported."""
    return find_spec(package) is not None


# Workers for each core. More than one are of no use, but harmless; with 10,000, `tiled` started
# 750 processes for 6 megapixels on 2 cores and took 26 s; with 2 it takes 0.6 s.
_MOST_A_CORE = 16


def worker_count(workers: int | None) -> int:
    """Return how many cores to use: those asked for, within reason, or all this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (
        os.cpu_count() or 1
    )  # fmt: skip
    return cores if workers is None else min(count(workers, "workers"), _MOST_A_CORE * cores)
