"""Code that a wheel brings is used where the processor has its level, and nothing is compiled."""

from __future__ import annotations

import numpy as np
import pytest

from convcli.loops.compiled import compiling, kinds, machine_code, shipped
from convcli.loops.compiled.shipping import make

DIVIDED = next(kind for kind in kinds.EVERY if kind[0] == "divided")


def forget():
    shipped.kept.cache_clear()
    shipped._folder.cache_clear()


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A folder as in a wheel, with one loop for any processor, and an empty folder for caches."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    monkeypatch.setattr(shipped, "NEEDS", {"any": ""})
    monkeypatch.setattr(shipped.sys, "platform", "linux")
    monkeypatch.setattr(shipped.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for word in ("NAME", "FEATURES"):
        monkeypatch.delenv(f"NUMBA_CPU_{word}", raising=False)
    make(shipped.folder_of("any", shipped.FOLDER), [DIVIDED])
    forget()
    yield shipped.FOLDER
    forget()


def compiles(monkeypatch):
    """Say whether a first call compiles, and check what it computes."""
    compiled = []
    code = compiling.object_code
    monkeypatch.setattr(compiling, "object_code", lambda *a: compiled.append(a) or code(*a))
    dtype = DIVIDED[1][0][0]
    total, empty = np.full(3, 6, dtype), np.empty(1, np.int64)
    weights = np.array([3, 2, 1], dtype)
    machine_code.function("divided")(total, weights, total.dtype.type(2), empty)
    np.testing.assert_array_equal(total, [4, 6, 12])
    return bool(compiled)


def test_what_a_wheel_brings_is_not_compiled(wheel, monkeypatch):
    assert machine_code.is_kept("divided", "float32")
    assert machine_code.is_any_kept()
    assert not machine_code.is_kept("divided", "float64")
    wheel.chmod(0o777)  # the modules beside it would be as open
    assert not compiles(monkeypatch)


@pytest.mark.parametrize("change", ["none", "processor", "told", "system", "sources", "damage"])
def test_it_is_compiled_where_it_does_not_match(change, wheel, monkeypatch):
    if change == "none":
        monkeypatch.setattr(shipped, "FOLDER", wheel / "no")
    elif change == "processor":
        monkeypatch.setattr(shipped, "NEEDS", {"any": "no_such_feature"})
    elif change == "told":
        monkeypatch.setenv("NUMBA_CPU_NAME", "x86-64-v3")
        monkeypatch.setenv("NUMBA_CPU_FEATURES", "")
    elif change == "system":
        monkeypatch.setattr(shipped.platform, "machine", lambda: "aarch64")
    elif change == "sources":
        monkeypatch.setattr(shipped, "sources", lambda: b"other")
    else:
        next(wheel.rglob("divided-*")).write_bytes(b"damaged")
    forget()
    assert machine_code.is_kept("divided", "float32") == (change == "damage")
    assert compiles(monkeypatch)


def test_what_was_compiled_here_is_preferred(wheel, monkeypatch):
    machine_code.place()
    machine_code.compile_kept(DIVIDED)
    for file in wheel.rglob("divided-*"):
        file.write_bytes(b"damaged")
    assert not compiles(monkeypatch)


@pytest.mark.parametrize(
    ("flags", "level"),
    [
        (shipped.NEEDS["x86-64-v4"], "x86-64-v4"),
        (shipped.NEEDS["x86-64-v4"].replace("avx512vl", "ssse3"), "x86-64-v3"),
        (shipped.NEEDS["x86-64-v3"], "x86-64-v3"),
        (shipped.NEEDS["x86-64-v3"].replace("avx2", ""), ""),
        ("", ""),
    ],
)
def test_a_level_needs_all_its_features(flags, level):
    assert shipped.level_of(frozenset(flags.split())) == level


def test_every_level_is_compiled():
    assert set(shipped.FEATURES) == set(shipped.NEEDS)
