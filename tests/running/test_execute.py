"""The executors: a plan runs by its own loop and executor alone."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import convcli
from convcli import pools
from convcli.filtering import convolution
from convcli.kernels.kernel import kernel_from
from convcli.loops.contract import LOOPS
from convcli.pixels import padded
from convcli.pixels.padded import Padded
from convcli.planning import choice
from convcli.planning.methods import PRESETS
from convcli.running import execute, processes, regions, threads
from convcli.words import BORDERS
from tests.plans import planned

IMAGE = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
KERNEL = np.random.default_rng(1).normal(size=(5, 4))


@pytest.mark.parametrize("method", PRESETS)
def test_the_other_routes_are_not_taken(method, monkeypatch):
    """The plan's loop and executor run although all others raise."""
    wanted = convcli.convolve(IMAGE, KERNEL, method=method)
    plan = planned(IMAGE.shape, "uint8", kernel_from(KERNEL), method)
    real_load, used = regions.load, []

    def only(name):
        assert name == plan.route.loop, f"{name} was loaded instead of {plan.route.loop}"
        used.append(name)
        return real_load(name)

    def refuse(*arguments):
        raise AssertionError("the wrong executor ran")

    monkeypatch.setattr(regions, "load", only)
    if plan.route.executor == "processes":
        monkeypatch.setattr(execute, "run_in_threads", refuse)
    else:
        monkeypatch.setattr(processes, "run_in_processes", refuse)
    np.testing.assert_array_equal(convcli.convolve(IMAGE, KERNEL, method=method), wanted)
    assert set(used) == {plan.route.loop}


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

    monkeypatch.setattr(execute, "prepare", failing)
    monkeypatch.setattr(
        convolution, "plan_for",
        lambda *a, **o: replace(planned(*a, **o), regions=(1, 200), executor="threads", workers=2),
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="broken"):
        convcli.blur(IMAGE, 2, method="numpy")
    assert len(done) < 300


def test_an_error_in_the_callers_own_progress_stops_the_rest(monkeypatch):
    done = []
    real = execute.prepare

    def counting(plan, recipe, channels):
        fill = real(plan, recipe, channels)

        def filter_region(source, out, region):
            done.append(region)
            time.sleep(0.001)
            fill(source, out, region)

        return filter_region

    def stop(_done, _total):
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "prepare", counting)
    monkeypatch.setattr(
        convolution, "plan_for", lambda *a, **o: replace(planned(*a, **o), regions=(1, 200))
    )
    with pytest.raises(KeyboardInterrupt):
        convcli.blur(IMAGE, 2, method="numpy", on_progress=stop)
    assert len(done) < 50


def test_tiled_pictures_may_be_filtered_in_several_threads_at_once():
    """A pool watches and stops its own workers, not those of another image."""
    wanted = convcli.convolve(IMAGE, KERNEL, method="numba")
    with ThreadPoolExecutor(3) as pool:
        results = pool.map(
            lambda _: convcli.convolve(IMAGE, KERNEL, method="tiled", workers=2), range(6)
        )
        for result in results:
            np.testing.assert_array_equal(result, wanted)


def test_pieces_cover_a_region_once():
    covered = np.zeros((11, 13), int)
    for rows, columns in regions.pieces((0, 11), (0, 13), (4, 5)):
        covered[slice(*rows), slice(*columns)] += 1
    assert (covered == 1).all()


# --- an unused channel


def padded_image(height=300, width=200):
    """Random pixels in an mmap of four bytes a pixel, the fourth at random, too."""
    memory = mmap.mmap(-1, height * width * 4, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    buffer = np.frombuffer(memory, np.uint8).reshape(height, width, 4)
    buffer[...] = np.random.default_rng(2).integers(0, 256, buffer.shape)
    return Padded(buffer, memory)


FILTERS = {
    "blur": partial(convcli.blur, sigma=2),
    "wide": partial(convcli.blur, sigma=7),
    "dense": partial(convcli.convolve, kernel=KERNEL),
    "edge": convcli.edge,
    "sharpen": partial(convcli.sharpen, sigma=2),
    "linear": partial(convcli.blur, sigma=2, linear=True),
    "to floats": partial(convcli.blur, sigma=2, out_dtype="float32"),
}


@pytest.mark.parametrize("scratch", [False, True])
@pytest.mark.parametrize(
    ("method", "border"),
    [*((method, "reflect") for method in PRESETS), *(("numba", border) for border in BORDERS)],
)
@pytest.mark.parametrize("name", FILTERS)
def test_an_unused_channel_changes_nothing(name, method, border, scratch, monkeypatch):
    monkeypatch.setattr(threads, "_SHORT_SECONDS", 0)
    monkeypatch.setattr(padded, "_PIECE", mmap.PAGESIZE)
    image = padded_image()
    options = {"method": method, "border": border, "workers": 2}
    wanted = FILTERS[name](np.ascontiguousarray(image), **options)
    before = image.buffer.copy()
    got = FILTERS[name](image, **options, scratch=scratch)
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)
    if not scratch:
        assert got.flags.c_contiguous
        np.testing.assert_array_equal(image.buffer, before)


@pytest.mark.parametrize("method", PRESETS)
@pytest.mark.parametrize("name", FILTERS)
def test_only_compiled_sums_work_on_the_unused_channel_too(name, method):
    got = FILTERS[name](padded_image(), method=method, scratch=True)
    plain = name in ("blur", "wide", "dense", "to floats")
    assert isinstance(got, Padded) == (plain and method == "numba")


@pytest.mark.parametrize("rows", [16, 48, 200])
def test_colours_weighted_by_alpha_have_the_same_bits_however_rows_are_cut(rows, monkeypatch):
    """Their sums are kept a piece at a time, at least as high as the kernel: here 161 rows."""
    image = np.random.default_rng(0).random((420, 400, 4), np.float32)
    whole = convcli.blur(image, 20, method="numba", alpha="weight")
    monkeypatch.setattr(choice, "tile_size", lambda _loop, size, *_: (rows, size[1]))
    cut = convcli.blur(image, 20, method="numba", alpha="weight")
    np.testing.assert_array_equal(cut, whole)


def test_memory_of_rows_that_are_done_is_given_back(monkeypatch):
    monkeypatch.setattr(threads, "_SHORT_SECONDS", 0)
    monkeypatch.setattr(padded, "_PIECE", mmap.PAGESIZE)
    image = padded_image(3000, 50)
    convcli.blur(image, 2, method="numba", scratch=True)
    kept = np.flatnonzero(image.buffer.any(axis=(1, 2)))
    assert 2000 < kept[0] < 3000 - 8  # all but the last strip and what its windows reach
    assert kept[-1] == 2999


@pytest.mark.parametrize("sigma", [6, 9])  # direct, and by way of a coarser grid
def test_no_row_is_given_back_before_its_windows_are_taken(monkeypatch, sigma):
    monkeypatch.setattr(threads, "_SHORT_SECONDS", 0)
    monkeypatch.setattr(padded, "_PIECE", mmap.PAGESIZE)
    real = execute.prepare

    def late(plan, recipe, channels):
        fill = real(plan, recipe, channels)

        def filter_region(source, out, region):
            time.sleep(0.005)  # time to release all rows that are done
            fill(source, out, region)

        return filter_region

    image = padded_image(3000, 50)
    wanted = convcli.blur(np.ascontiguousarray(image), sigma, method="numba")
    monkeypatch.setattr(execute, "prepare", late)
    got = convcli.blur(image, sigma, method="numba", scratch=True)
    np.testing.assert_array_equal(got, wanted)
    assert not image.buffer[:500].any()  # something was released


def test_rows_that_wrap_around_are_kept(monkeypatch):
    monkeypatch.setattr(threads, "_SHORT_SECONDS", 0)
    monkeypatch.setattr(padded, "_PIECE", mmap.PAGESIZE)
    image = padded_image(3000, 50)
    before = image.buffer.copy()
    convcli.blur(image, 2, method="numba", border="wrap", scratch=True)
    np.testing.assert_array_equal(image.buffer, before)


def test_memory_of_an_array_is_kept(monkeypatch):
    monkeypatch.setattr(threads, "_SHORT_SECONDS", 0)
    monkeypatch.setattr(padded, "_PIECE", mmap.PAGESIZE)
    image = Padded(np.full((3000, 50, 4), 7, np.uint8))
    convcli.blur(image, 2, method="numba", scratch=True)
    assert (image.buffer == 7).all()


# --- short work


@pytest.mark.parametrize("workers", [2, 5])
def test_short_work_fills_every_region(workers):
    filled = []
    threads.share(filled.append, list(range(100)), workers, lambda *_: None)
    assert sorted(filled) == list(range(100))


@pytest.mark.parametrize("where", ["here", "there"])
def test_an_error_ends_short_work(where):
    here, seen = threading.current_thread(), []

    def fill(region):
        seen.append(region)
        time.sleep(0.001)
        if (threading.current_thread() is here) == (where == "here"):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        threads.share(fill, list(range(300)), 2, lambda *_: None)
    assert len(seen) < 300 or where == "there"


def helpers(workers):
    """Share work of which each thread takes one piece, and return the other threads."""
    everyone, seen = threading.Barrier(workers), []

    def fill(_piece):
        seen.append(threading.current_thread())
        everyone.wait(10)

    threads.share(fill, list(range(workers)), workers, lambda *_: None)
    return set(seen) - {threading.current_thread()}


def test_threads_are_kept_for_the_next_work(monkeypatch):
    monkeypatch.setattr(pools, "_kept", None)
    first = helpers(2)
    assert (len(first), helpers(2)) == (1, first)
    assert len(helpers(3)) == 2
    (only,) = first
    only.join(10)  # a larger pool takes the place of a smaller one
    assert not only.is_alive()


def test_threads_that_are_all_at_work_are_not_waited_for(monkeypatch):
    """Work in one of them may be shared again, and so may work of other threads."""
    monkeypatch.setattr(pools, "_kept", None)
    done = []

    def fill(piece):
        threads.share(lambda each: done.append((piece, each)), range(50), 2, lambda *_: None)

    thread = threading.Thread(target=threads.share, args=(fill, range(4), 2, lambda *_: None))
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert len(set(done)) == len(done) == 200


def test_short_work_is_at_rest_when_an_error_is_raised():
    begun, go_on, done = threading.Event(), threading.Event(), []

    def fill(piece):
        if threading.current_thread() is here:
            begun.wait(10)
            threading.Timer(0.05, go_on.set).start()
            raise KeyboardInterrupt
        begun.set()
        go_on.wait(10)
        done.append(piece)

    here = threading.current_thread()
    with pytest.raises(KeyboardInterrupt):
        threads.share(fill, range(9), 2, lambda *_: None)
    assert len(done) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_has_threads_of_its_own():
    helpers(2)
    child = os.fork()
    if not child:
        signal.alarm(20)  # a child that waits for a thread of its parent ends by this
        try:
            os._exit(len(helpers(2)) - 1)
        finally:
            os._exit(99)
    assert os.waitpid(child, 0)[1] == 0


def test_kept_threads_do_not_hold_the_program():
    script = (
        "from convcli.running.threads import share; import threading; b = threading.Barrier(2)\n"
        "share(lambda _: b.wait(10), range(2), 2, lambda *_: None); print(threading.active_count())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=20)
    assert (done.stdout.strip(), done.stderr, done.returncode) == (b"2", b"", 0)


@pytest.mark.parametrize("method", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(257, 300), (1000, 37, 3), (64, 3001)], ids=str)
@pytest.mark.parametrize("sigma", [1, 7, 15])
def test_the_number_of_workers_changes_nothing(method, dtype, shape, sigma):
    image = np.random.default_rng(3).integers(0, 256, shape).astype(dtype)
    one, *others = (
        convcli.blur(image, sigma, method=method, workers=workers) for workers in (1, 2, 3)
    )
    for other in others:
        np.testing.assert_array_equal(one, other)
