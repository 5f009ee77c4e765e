"""The machine that a race ran on: its processor, and the versions of the packages."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from convcli import __version__
from convcli.memory import available
from convcli.planning.methods import worker_count

# In the order in which they are shown; those not installed are left out.
_PACKAGES = ("numpy", "numba", "pathos", "scipy", "opencv-python-headless", "opencv-python",
             "scikit-image")  # fmt: skip


def machine() -> dict[str, str]:
    """Describe this machine; "cores" counts those that this process may use."""
    known = {"processor": _processor(), "cores": str(worker_count(None))}
    if (free := available()) is not None:
        known["free memory"] = f"{free / 1e9:.1f} GB"
    known["system"] = f"{platform.system()} {platform.machine()}"
    known["Python"] = platform.python_version()
    known["convcli"] = __version__
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            known[package] = version(package)
    return known


def _processor() -> str:
    with suppress(OSError):  # on Linux only
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
