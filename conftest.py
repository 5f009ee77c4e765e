"""What every run of the tests begins with: a cache folder of its own, and the doctests it runs."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

# Compiled loops are kept in the cache folder, and what is there changes what `auto` chooses. The
# tests neither read nor write the developer's: this file sets another folder before any test, or
# process that a test starts, imports convcli. The workers of pytest-xdist share that of the
# process that started them.
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if not IS_WORKER:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="convcli-tests-")

# Files that import packages which are left out of collection where they are not installed.
_DASK = re.compile(r"^\s*(>>> )?(import|from) (dask|distributed)\b", re.MULTILINE)
_HAS_DASK = find_spec("distributed") is not None


def pytest_unconfigure() -> None:
    """Remove the cache folder."""
    if not IS_WORKER:
        shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)


# Files of tests that name one of these are for Linux: its files of processes, devices and memory,
# links, modes, signals and shells.
_LINUX = re.compile(
    r"\b(fcntl|pty|termios|resource|fork|geteuid|getuid|mkfifo|symlink_to|chmod|ulimit|bash|SIG[A-Z]+)"
    r"\b|/dev/|/proc/|/sys/|terminal\("
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what runs the method tiled on systems without fork."""
    if not hasattr(os, "fork"):
        items[:] = [item for item in items if "tiled" not in item.name]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Skip modules without a doctest: collecting a module imports it, and numba takes 0.3 s.

    Skip tests of what only Linux has elsewhere, and those of Dask where that is not installed.
    """
    if collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    if not _HAS_DASK and _DASK.search(text):
        return True
    if not collection_path.name.startswith("test_"):
        return ">>> " not in text
    return True if sys.platform != "linux" and _LINUX.search(text) else None
