"""The figures of examples/, drawn once for the tests of the examples and of the docs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def figures(tmp_path_factory):
    """What `examples/draw_all.py` drew (a folder), and what it printed."""
    folder = tmp_path_factory.mktemp("figures") / "new" / "folder"
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "draw_all.py", folder],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, done.stdout
