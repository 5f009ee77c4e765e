"""Machine code that a wheel brings, so that the first common filter compiles nothing.

It is for Linux on x86-64, in levels that the processor either has or not (x86-64 psABI 1.0, 3.1.1).
Python's packages name no such level, so a wheel holds all of them. It needs no file that numba or
llvmlite may change; only the sources of the loops must be those that it was made from.
"""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from functools import cache
from importlib.util import source_hash
from pathlib import Path

from convcli.loops.compiled.calling import Signature

_V3 = "avx avx2 bmi1 bmi2 f16c fma abm movbe"
_V4 = f"{_V3} avx512f avx512bw avx512cd avx512dq avx512vl"
NEEDS = {"x86-64-v4": _V4, "x86-64-v3": _V3}
"""Each level, the best first, and what Linux calls the features that it needs."""

_LLVM_V3 = "+sse4.2,+popcnt,+cx16,+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe"
FEATURES = {
    "x86-64-v3": _LLVM_V3,
    # For this level LLVM prefers half of the vectors' length. With the whole a blur of sigma 1 or 3
    # and dense kernels of 5x5 and 9x9 take 13.7, 26, 43 and 122 ms instead of 15.8, 32, 55 and 159
    # (Intel Xeon with AVX-512 and AMX, one core, 6 MP in colour).
    "x86-64-v4": f"{_LLVM_V3},+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl,-prefer-256-bit",
}
"""The same in LLVM's words, as NUMBA_CPU_FEATURES takes them."""

_HERE = Path(__file__).parent
FOLDER = _HERE / "shipped"


@cache
def sources() -> bytes | None:
    """Return a short hash of all sources that the code depends on."""
    with suppress(OSError):
        # Finding each module of this folder by its name would take 1 ms.
        files = [*sorted(_HERE.glob("*.py")), _HERE.parent / "layout.py"]
        files.append(_HERE.parents[1] / "pixels" / "rounding.py")
        return source_hash(b"".join(path.read_bytes() for path in files))
    return None  # they are not files, as in a zip


def name_of(name: str, signature: Signature) -> str:
    """Return the name of the file that holds a loop, which begins as `machine_code` needs it."""
    return f"{name}-{signature[0][0]}-{source_hash(str(signature).encode()).hex()}"


@cache
def kept() -> frozenset[str]:
    """Return the names of the files that this processor can use."""
    folder = _folder()
    with suppress(OSError):
        return frozenset(os.listdir(folder) if folder else ())
    return frozenset()


def path_of(file: str) -> Path | None:
    """Return where a file lies, if there is one."""
    folder = _folder()
    return folder / file if folder and file in kept() else None


@cache
def _folder() -> Path | None:
    """Return the folder of the best level that this processor has."""
    if not FOLDER.is_dir():
        return None  # as in a checkout
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    if any(os.environ.get(f"NUMBA_CPU_{word}") for word in ("NAME", "FEATURES")):
        return None  # code for another processor is wanted
    level = level_of(_flags())
    return folder_of(level, FOLDER) if level else None


def folder_of(level: str, place: Path) -> Path:
    """Return the folder of a level, for these sources of the loops."""
    return place / (sources() or b"").hex() / level


def level_of(flags: frozenset[str]) -> str:
    """Return the best level of a processor with these features; none if it has none."""
    return next((level for level, needed in NEEDS.items() if flags >= set(needed.split())), "")


def _flags() -> frozenset[str]:
    """Return the features of the first processor, in Linux's words."""
    with suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("flags"):
                return frozenset(line.partition(":")[2].split())
    return frozenset()
