"""Packages that are broken: found out by the executor, reported once, and done without."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import convcli
from convcli.errors import ConvcliError
from convcli.kernels.gaussian import gaussian_kernel
from convcli.kernels.kernel import kernel_from
from convcli.loops.compiled import apart, machine_code
from convcli.planning.plan import Task
from convcli.running import packages
from convcli.running.packages import check, ready_plan

NEEDS_NUMBA = Task((4000, 6000), np.dtype("uint8"), (gaussian_kernel(3.0),), images=1000)
NOISE = kernel_from(np.random.default_rng(0).normal(size=(31, 31)) / 10_000)
NEEDS_SCIPY = Task((2000, 2000), np.dtype("uint8"), (NOISE,), "fft", images=1000)


@pytest.fixture
def broken(monkeypatch):
    """Break packages: ``broken("numba")``; nothing is compiled yet, or known to be broken."""
    monkeypatch.setattr(packages, "_broken", {})
    for question in ("is_kept", "is_loaded"):
        monkeypatch.setattr(machine_code, question, lambda *_: False)
    monkeypatch.setattr(machine_code, "is_any_kept", lambda: False)
    monkeypatch.setattr(machine_code, "can_be_kept", lambda: True)
    real = packages.import_module

    def call(*names):
        modules = [packages._MODULES[name] for name in names]

        def fails(module):
            if module in modules:
                raise RuntimeError("needs another numpy")
            return real(module)

        monkeypatch.setattr(packages, "import_module", fails)

    return call


@pytest.mark.parametrize(("task", "package"), [(NEEDS_NUMBA, "numba"), (NEEDS_SCIPY, "scipy")])
def test_a_broken_package_is_reported_once_and_done_without(task, package, broken, caplog):
    assert package in ready_plan(task).needs
    broken(package)
    with caplog.at_level(logging.WARNING, "convcli"):
        plans = [ready_plan(task) for _ in range(3)]
    assert [record.getMessage() for record in caplog.records] == [
        f"{package} cannot be imported (RuntimeError: needs another numpy); continuing without it"
    ]
    for plan in plans:
        assert package not in plan.needs
        assert plan.task.without.keys() == {package}
    # What `convcli.plan` says is what would run now.
    assert "numba" not in convcli.plan((4000, 6000), "uint8", [[1]]).predicted or package != "numba"


def test_numba_is_done_without_where_memory_is_short_for_a_while(broken, monkeypatch, caplog):
    """LLVM aborts the process where it finds no memory."""
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "convcli"):
        patch.setattr(machine_code, "lacks_memory", lambda: True)
        patch.setattr(packages, "_short", set())
        assert not any("numba" in ready_plan(NEEDS_NUMBA).needs for _ in range(3))
        image = np.zeros((50, 60), np.uint8)
        with pytest.raises(ConvcliError, match="needs about 600 MB of memory to compile"):
            convcli.convolve(image, [[1, 2]], method="numba")
        check("numba")  # it is not what is wrong
    (record,) = caplog.records
    assert record.getMessage() == (
        "numba needs about 600 MB of memory to compile its loops, more than is free; "
        "continuing without it"
    )
    assert ready_plan(NEEDS_NUMBA).needs == ("numba",)


def test_lack_of_memory_is_not_a_broken_package(broken, monkeypatch):
    def fails(_module):
        raise ImportError("libz.so: failed to map segment from shared object")

    monkeypatch.setattr(packages, "import_module", fails)
    with pytest.raises(MemoryError):
        check("tiled")
    with pytest.raises(ConvcliError, match="needs more memory than there is"):
        convcli.convolve(np.zeros((50, 60), np.uint8), [[1, 2]], method="tiled")
    assert packages.broken() == {}


def test_what_is_whole_is_not_reported(caplog):
    ready_plan(NEEDS_SCIPY)
    assert not caplog.records


@pytest.mark.parametrize(("method", "package"), [("numba", "numba"), ("tiled", "pathos")])
def test_a_method_that_was_asked_for_is_refused(method, package, broken):
    broken(package)
    image = np.zeros((50, 60), np.uint8)
    pattern = f"'{method}' needs the package {package}, which cannot be imported .*another numpy"
    with pytest.raises(ConvcliError, match=pattern):
        convcli.convolve(image, [[1, 2]], method=method)
    with pytest.raises(ConvcliError, match=pattern):
        check(method)


def test_nothing_is_imported_to_check_methods_that_need_nothing(broken):
    broken("numba", "pathos", "scipy")
    for method in ("auto", "numpy", "fft"):
        check(method)


def test_all_broken_is_the_same_image(broken):
    image = np.random.default_rng(0).integers(0, 256, (90, 80), dtype=np.uint8)
    wanted = convcli.convolve(image, NOISE, method="numpy")
    broken("numba", "pathos", "scipy")
    np.testing.assert_array_equal(convcli.convolve(image, NOISE), wanted)


def test_numba_is_not_imported_here_where_another_process_compiles(broken):
    """It takes 60 MB of --memory."""
    broken("numba")
    with apart.wanted():
        check("numba")
    with pytest.raises(ConvcliError, match="needs another numpy"):
        check("numba")
