"""Compiling in a process of its own."""

from __future__ import annotations

import os

import pytest

from convcli.loops.compiled import apart, machine_code
from tests.loops.compiled.test_elf import SIGNATURE

pytest.importorskip("numba")


@pytest.mark.slow
def test_another_process_compiles_what_this_one_loads(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(machine_code, "_compiled", None)  # which would be called here
    with apart.wanted():
        assert apart.is_wanted()
        call = machine_code._prepared("correlate", SIGNATURE)
    assert not apart.is_wanted()
    assert "numba" not in str(type(call))
    assert len(os.listdir(tmp_path / "convcli")) == 1
