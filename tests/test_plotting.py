"""The check for matplotlib, and what all plots share."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from convcli import ConvcliError, plotting


@pytest.fixture(autouse=True)
def as_found():
    logger = logging.getLogger("matplotlib")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.mark.parametrize("name", ["curves.gif", "curves", ".png"])
def test_an_unknown_format_is_refused(name):
    with pytest.raises(ConvcliError, match=r"must end in \.png, \.svg or \.pdf"):
        plotting.check(Path(name))


@pytest.mark.parametrize("suffix", [*plotting.FORMATS, ".PNG"])
def test_formats_are_known_by_their_suffix(suffix):
    pytest.importorskip("matplotlib")
    plotting.check(Path(f"curves{suffix}"))


@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        ("matplotlib", "which is not installed; pip install matplotlib"),
        (
            "matplotlib.figure",
            r"which cannot be imported \(ModuleNotFoundError: .*\); reinstall it",
        ),
    ],
)
def test_it_says_what_is_missing(monkeypatch, hidden, message):
    monkeypatch.setitem(sys.modules, hidden, None)
    with pytest.raises(ConvcliError, match=f"drawing needs matplotlib, {message}"):
        plotting.check()
