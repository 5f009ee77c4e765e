"""Pools of threads: with as many as the system allows, every call is carried out once."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref

import pytest

from convcli import memory, pools
from convcli.pools import Pool


@pytest.fixture(params=[0, 1, 2, 99], ids=lambda number: f"{number} threads")
def allowed(request, monkeypatch):
    """Let the system allow this many threads, and then no more."""
    left = iter(range(request.param))

    def start(thread, begin=threading.Thread.start):
        if next(left, None) is None:
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    return request.param


def test_no_thread_is_started_without_memory_for_it(monkeypatch):
    """It would die of that, and `Thread.start` would wait for ever."""
    spaces = iter([199_000_000, 199_000_000])
    monkeypatch.setattr(memory, "address_space", lambda: next(spaces, 99_000_000))
    with Pool(4) as pool:
        threads = list(pool.map(lambda _: threading.current_thread(), range(5)))
        assert threading.current_thread() not in threads[:2]
        assert set(threads[2:]) == {threading.current_thread()}
    with pytest.raises(MemoryError):
        pools.try_threads(1)


@pytest.mark.parametrize(
    ("left", "has"), [(None, True), (160_000_000, False), (200_000_000, False), (260_000_000, True)]
)
def test_a_thread_has_room_beside_what_comes(monkeypatch, left, has):
    monkeypatch.setattr(memory, "address_space", lambda: left)
    assert pools.has_room(100_000_000) == has


def test_results_are_in_order_and_each_call_is_made_once(allowed):
    made = []

    def square(number):
        made.append(number)
        time.sleep(0.001 * (number % 3))
        return number * number

    with Pool(4) as pool:
        assert list(pool.map(square, range(20))) == [number * number for number in range(20)]
    assert sorted(made) == list(range(20))


def test_submitted_calls_are_made_once(allowed):
    made = []
    with Pool(3) as pool:
        futures = [pool.submit(lambda number=number: made.append(number)) for number in range(20)]
        assert [future.result(10) for future in futures] == [None] * 20
    assert sorted(made) == list(range(20))


def test_the_thread_that_brings_the_work_does_it_where_there_is_no_other(allowed):
    with Pool(3) as pool:
        names = {pool.submit(threading.current_thread).result(10) for _ in range(9)}
        names |= set(pool.map(lambda _: threading.current_thread(), range(9)))
    assert (threading.current_thread() in names) == (allowed == 0)


@pytest.mark.parametrize("way", ["map", "submit"])
def test_an_error_is_raised_where_the_result_is_asked_for(allowed, way):
    def fail(number):
        if number == 3:
            raise ValueError("three")
        return number

    with Pool(2) as pool:
        if way == "map":
            results = pool.map(fail, range(5))
            assert [next(results) for _ in range(3)] == [0, 1, 2]
            with pytest.raises(ValueError, match="three"):
                next(results)
        else:
            future = pool.submit(lambda: fail(3))
            with pytest.raises(ValueError, match="three"):
                future.result(10)


def test_a_signal_ends_the_thread_that_brings_the_work(monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    def leave():
        raise SystemExit(130)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with Pool(2) as pool, pytest.raises(SystemExit):
        pool.submit(leave)


def test_the_coders_of_avif_use_no_thread_where_there_is_none(allowed, monkeypatch):
    """They would fail; two cores ask for two threads."""
    from PIL import AvifImagePlugin

    from convcli.image import avif

    monkeypatch.setattr(AvifImagePlugin, "DEFAULT_MAX_THREADS", 7)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    avif.choose_threads()
    assert (0 if allowed >= 2 else 1) == AvifImagePlugin.DEFAULT_MAX_THREADS


def test_what_has_not_begun_can_be_cancelled():
    begun, go_on = threading.Event(), threading.Event()

    def work():
        begun.set()
        go_on.wait(10)

    with Pool(1) as pool:
        first, second = pool.submit(work), pool.submit(work)
        begun.wait(10)
        pool.shutdown(wait=False, cancel=True)
        go_on.set()
    assert (first.result(10), second.cancelled()) == (None, True)


def test_a_result_and_an_error_are_not_held(allowed):
    """A pool gives regions of images, and an error holds the frames that it passed."""

    class Large:
        pass

    def fail():
        large = Large()
        seen.append(weakref.ref(large))
        raise ValueError

    seen = []
    gc.disable()
    try:
        with Pool(2) as pool:
            for result in pool.map(lambda _: Large(), range(3)):
                seen.append(weakref.ref(result))
                del result
            future = pool.submit(fail)
            assert isinstance(future.exception(10), ValueError)
            del future
        held = [number for number, each in enumerate(seen) if each() is not None]
        # Without a thread the error is also in frames of the thread that brought the work.
        assert (len(seen), [number for number in held if number < 3 or allowed]) == (4, [])
    finally:
        gc.enable()
