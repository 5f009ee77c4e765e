"""The scripts in examples/ run, and make what they say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"


def run_copy(name, folder):
    """Run a copy, so that a test never writes into the project."""
    script = shutil.copy(EXAMPLES / name, folder)
    subprocess.run(
        [sys.executable, script], check=True, capture_output=True, timeout=120,
        env={"PYTHONPATH": str(EXAMPLES.parent)},
    )  # fmt: skip


def test_the_scene_is_what_its_script_draws(tmp_path):
    run_copy("render_scene.py", tmp_path)
    drawn = np.asarray(Image.open(tmp_path / "scene.png")).astype(int)
    kept = np.asarray(Image.open(EXAMPLES / "scene.png")).astype(int)
    # Not to the bit: another numpy may round a sine differently.
    assert np.abs(drawn - kept).mean() < 0.5


def test_the_sheet_of_filters_is_what_its_script_draws(tmp_path):
    shutil.copy(EXAMPLES / "scene.png", tmp_path)
    run_copy("before_after.py", tmp_path)
    drawn = np.asarray(Image.open(tmp_path / "before_after.png")).astype(int)
    kept = np.asarray(Image.open(EXAMPLES / "before_after.png")).astype(int)
    assert np.abs(drawn - kept).mean() < 0.5
