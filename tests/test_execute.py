"""The executors: a plan runs as it says, and nowhere else."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import convcli
from convcli import convolution, execute, processes
from convcli.loops import LOOPS
from convcli.planning import PRESETS, plan_for

IMAGE = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
KERNEL = np.random.default_rng(1).normal(size=(5, 4))


@pytest.mark.parametrize("method", PRESETS)
def test_the_other_routes_are_not_taken(method, monkeypatch):
    """The plan's loop and executor run although all others raise."""
    wanted = convcli.convolve(IMAGE, KERNEL, method=method)
    plan = plan_for(IMAGE.shape, "uint8", convolution.kernel_from(KERNEL), method)
    real_load, used = execute.load, []

    def only(name):
        assert name == plan.loop, f"{name} was loaded instead of {plan.loop}"
        used.append(name)
        return real_load(name)

    def refuse(*arguments):
        raise AssertionError("the wrong executor ran")

    monkeypatch.setattr(execute, "load", only)
    if plan.executor == "processes":
        monkeypatch.setattr(execute, "run_in_threads", refuse)
    else:
        monkeypatch.setattr(processes, "run_in_processes", refuse)
    np.testing.assert_array_equal(convcli.convolve(IMAGE, KERNEL, method=method), wanted)
    assert set(used) == {plan.loop}


def test_every_preset_has_a_loop():
    for preset in PRESETS.values():
        assert preset.loop in LOOPS


@pytest.mark.parametrize("method", PRESETS)
def test_progress_counts_every_region_once(method):
    seen = []
    convcli.convolve(
        IMAGE, KERNEL, method=method, workers=2, on_progress=lambda d, n: seen.append((d, n))
    )
    totals = {total for _, total in seen}
    assert len(totals) == 1
    assert seen[-1][0] == totals.pop()
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_progress_is_told_in_the_callers_thread():
    threads = set()
    convcli.blur(IMAGE, 2, method="numpy", workers=2,
                 on_progress=lambda d, n: threads.add(threading.current_thread()))  # fmt: skip
    assert threads == {threading.current_thread()}


def test_an_error_in_a_region_stops_the_rest(monkeypatch):
    done = []

    def failing(plan, recipe, channels):
        def filter_region(source, out, region):
            done.append(region)
            raise RuntimeError("broken")

        return filter_region

    monkeypatch.setattr(execute, "region_filter", failing)
    monkeypatch.setattr(
        convolution, "plan_for",
        lambda *a, **o: replace(plan_for(*a, **o), regions=(1, 200), executor="threads", workers=2),
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="broken"):
        convcli.blur(IMAGE, 2, method="numpy")
    assert len(done) < 300


def test_an_error_in_the_callers_own_progress_stops_the_rest(monkeypatch):
    done = []
    real = execute.region_filter

    def counting(plan, recipe, channels):
        fill = real(plan, recipe, channels)

        def filter_region(source, out, region):
            done.append(region)
            time.sleep(0.001)
            fill(source, out, region)

        return filter_region

    def stop(_done, _total):
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "region_filter", counting)
    monkeypatch.setattr(
        convolution, "plan_for", lambda *a, **o: replace(plan_for(*a, **o), regions=(1, 200))
    )
    with pytest.raises(KeyboardInterrupt):
        convcli.blur(IMAGE, 2, method="numpy", on_progress=stop)
    assert len(done) < 50


def test_tiled_pictures_may_be_filtered_in_several_threads_at_once():
    """A pool watches and stops its own workers, not those of another picture."""
    wanted = convcli.convolve(IMAGE, KERNEL, method="numba")
    with ThreadPoolExecutor(3) as pool:
        results = pool.map(
            lambda _: convcli.convolve(IMAGE, KERNEL, method="tiled", workers=2), range(6)
        )
        for result in results:
            np.testing.assert_array_equal(result, wanted)


def test_pieces_cover_a_region_once():
    covered = np.zeros((11, 13), int)
    for rows, columns in execute.pieces((0, 11), (0, 13), (4, 5)):
        covered[slice(*rows), slice(*columns)] += 1
    assert (covered == 1).all()
