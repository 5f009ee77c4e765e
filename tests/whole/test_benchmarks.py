"""The benchmarks measure every limit that they state, and mark those that are missed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import commands  # noqa: E402
import race  # noqa: E402
import run  # noqa: E402

HERE = {"OpenCV": True, "missing": False}


@pytest.fixture
def small(monkeypatch):
    """Make every image of the commands a small one."""
    monkeypatch.setattr(commands, "photograph", lambda *_: np.zeros((20, 30, 3), np.uint8))


def counted(*costs):
    left = iter(costs)
    return lambda: next(left)


def test_the_best_counted_round_of_each_installed_contender(monkeypatch):
    monkeypatch.setattr(race, "INSTALLED", HERE)
    peers = {"OpenCV": counted(0, 2, 7), "other": counted(9, 9, 8), "missing": counted()}
    best = race.race(race.Row("work", counted(1, 5, 3), peers), rounds=2)
    assert best == {"convcli": 3, "OpenCV": 2, "other": 8}


@pytest.mark.parametrize(("code", "starts"), [("pass", True), ("import sys; sys.exit(1)", False)])
def test_a_program_that_is_broken_counts_as_missing(code, starts):
    assert race.starts([sys.executable, "-c", code]) == starts
    assert not race.starts(["no-such-program"])


@pytest.mark.parametrize(("ours", "missed"), [(69.0, False), (71.0, True)])
def test_a_missed_limit_is_marked(ours, missed):
    result = run.Result("blur sigma 3, grey", ours, "OpenCV", 100.0, "ms")
    assert result.limit == 0.7
    assert (result.cells()[-1] == "MISSED") == missed


def test_every_limit_is_measured(small, tmp_path):
    rows = [*run.arrays.rows("auto"), *commands.rows("auto", tmp_path)]
    measured = {(row.work, peer) for row in rows for peer in row.peers}
    assert len({row.work for row in rows}) == len(rows)
    promised = {(work, peer) for work, limits in run.LIMITS.items() for peer in limits}
    assert not promised - measured


def test_a_table_is_written(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    target = tmp_path / "RESULTS.md"
    target.write_text(f"# Results\n\n## Other\n\n- kept\n\n## {run.processor()}\n\n- replaced\n")
    monkeypatch.setattr(
        sys, "argv", ["run.py", "--only", "VERSION", "--rounds", "1", "--write", str(target)]
    )
    run.main()
    written = target.read_text()
    assert "| convcli --version |" in written
    assert re.findall("^## .*|^- kept|^- replaced", written, re.M) == [
        "## Other", "- kept", f"## {run.processor()}",
    ]  # fmt: skip
    assert "--help" not in written
    assert "convcli --version" in capsys.readouterr().out
