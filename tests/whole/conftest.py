"""What the scripts in examples/ draw: once, for the tests of the examples and of the docs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
WRITES_HERE = ("render_scene", "before_after")  # a script that writes into its own folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """The folder of each script's images, and what the script printed, by its name.

    The scripts run two at a time. Copies run of those that write into their own folder.
    """
    base = tmp_path_factory.mktemp("drawn")

    def run(name):
        folder = base / name / "new"
        script, arguments = EXAMPLES / f"{name}.py", [folder]
        if name in WRITES_HERE:
            folder.mkdir(parents=True)
            shutil.copy(EXAMPLES / "scene.png", folder)
            script, arguments = shutil.copy(script, folder), []
        done = subprocess.run(
            [sys.executable, script, *arguments],
            capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return folder, done.stdout

    names = ("draw_all", *WRITES_HERE)
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(run, names), strict=True))
