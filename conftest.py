"""What every run of the tests begins with: a cache folder of its own, and the doctests it runs."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

# Compiled loops are kept in the cache folder, and what is there changes what `auto` chooses. The
# tests neither read nor write the developer's: this file sets another folder before any test, or
# process that a test starts, imports convcli. The workers of pytest-xdist share that of the
# process that started them.
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if not IS_WORKER:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="convcli-tests-")


def pytest_unconfigure() -> None:
    """Remove the cache folder."""
    if not IS_WORKER:
        shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Skip modules without a doctest: collecting a module imports it, and numba takes 0.3 s."""
    if collection_path.suffix == ".py" and not collection_path.name.startswith("test_"):
        return ">>> " not in collection_path.read_text(encoding="utf-8")
    return None
