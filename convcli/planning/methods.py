"""What each word of --method stands for, and whether this machine has what it needs."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, NamedTuple

from convcli.checks import count
from convcli.errors import ConvcliError, reason_of
from convcli.loops.compiled import machine_code
from convcli.words import METHODS, Method, listed

Executor = Literal["threads", "processes"]


class Preset(NamedTuple):
    """What a word of --method stands for."""

    loop: str
    executor: Executor
    package: str | None = None


PRESETS: dict[Method, Preset] = {
    "numpy": Preset("direct_numpy", "threads"),
    "numba": Preset("direct_numba", "threads", "numba"),
    "fft": Preset("overlap_add", "threads"),
    "tiled": Preset("direct_numba", "processes", "pathos"),
}


def check_method(method: Method) -> None:
    """Raise `ConvcliError` for a word that is unknown, or whose package is not installed."""
    if method not in METHODS:
        raise ConvcliError(f"unknown method {method!r}; it must be {listed(METHODS)}")
    package = PRESETS[method].package if method != "auto" else None
    if package and not is_installed(package):
        raise ConvcliError(
            f"method {method!r} needs the package {package}, which is not installed; "
            f"pip install {package}, or choose another method"
        )


def check_import(method: Method) -> None:
    """Raise `ConvcliError` if the package of a method is broken, where it is certainly needed."""
    package = PRESETS[method].package if method != "auto" else None
    needed = package == "pathos" or (package == "numba" and not machine_code.is_any_kept())
    if package and needed and (problem := import_problem(package)):
        raise ConvcliError(
            f"method {method!r} needs the package {package}, which {problem}; choose another method"
        )


_broken: set[str] = set()  # packages that are there, and could not be imported


def is_installed(package: str) -> bool:
    """Say whether a package is there, and was not found to be broken."""
    return package not in _broken and _is_found(package)


@cache
def _is_found(package: str) -> bool:
    return find_spec(package) is not None


def import_problem(module: str) -> str:
    """Import what is needed now, and say why it cannot be; from then on it is not installed."""
    try:
        import_module(module)
    except Exception as error:  # a package may raise what it likes
        _broken.add(module.partition(".")[0])
        return f"cannot be imported ({reason_of(error)})"
    return ""


# Workers for each core. More than one are of no use, but harmless; of 10,000 that were asked for,
# `tiled` started 750 processes for 6 megapixels on 2 cores, and took 26 s; 2 take 0.6 s.
_MOST_A_CORE = 16


def worker_count(workers: int | None) -> int:
    """Return how many cores to use: those asked for, within reason, or all this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (
        os.cpu_count() or 1
    )  # fmt: skip
    return cores if workers is None else min(count(workers, "workers"), _MOST_A_CORE * cores)
