"""Tests leave the developer's cache folder alone, and do not depend on what is in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]

# Every Python process imports this at its start, including those that a test starts.
WATCH = """
import os, sys
events = {"open", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.scandir"}
def watch(event, arguments, cache=os.environ["CACHE"], log=os.environ["LOG"]):
    if event in events and str(arguments[0]).startswith(cache):
        with open(log, "a") as file:
            print(event, *arguments, file=file)
sys.addaudithook(watch)
"""
# They compile a loop, and run the program with an XDG_CACHE_HOME that must be ignored.
TESTS = [
    "tests/filtering/test_convolution.py::test_out_dtype_float32_keeps_sign_and_range[numba]",
    "tests/whole/test_faults.py::test_odd_environments_change_nothing[relative cache]",
]


@pytest.mark.slow
def test_the_developers_cache_is_neither_read_nor_written(tmp_path):
    cache, log = tmp_path / ".cache" / "convcli", tmp_path / "log"
    cache.mkdir(parents=True)
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(WATCH)
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    inherited = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    environment = {
        **inherited,
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(cache.parent),
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "hook"), str(ROOT)]),
        "CACHE": str(cache),
        "LOG": str(log),
    }

    def run(*argv):
        done = subprocess.run(
            [sys.executable, *argv], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    run("-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS)
    assert not log.exists(), log.read_text()
    assert list(cache.iterdir()) == []
    # The log of a run without the tests' own folder, to show that it would be seen.
    run("-m", "convcli", "blur", tmp_path / "a.png", "--sigma", "1")
    assert str(cache) in log.read_text()
