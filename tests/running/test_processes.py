"""Worker processes: whatever happens to one, there is an error and no hang, and nothing is left."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from multiprocess import active_children, heap

import convcli
from convcli.running import processes
from convcli.running.regions import prepare

IMAGE = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
KERNEL = np.random.default_rng(1).normal(size=(3, 3))


def shared_memories():
    folder = Path("/dev/shm")
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = shared_memories()
    yield
    assert active_children() == []
    assert shared_memories() <= before


@pytest.fixture
def worker_does(monkeypatch):
    """Make the workers do something else, from the task on."""

    def install(action):
        monkeypatch.setattr(processes, "_fill_region", action)

    return install


def kill_myself(region):
    os.kill(os.getpid(), signal.SIGKILL)


def exit_early(region):
    raise SystemExit(3)


def wait_long(region):
    time.sleep(30)


def test_pools_can_be_used_again_and_again():
    """pathos keeps a closed pool under its id and would hand it to the next caller."""
    wanted = convcli.convolve(IMAGE, KERNEL, method="numba")
    for _ in range(3):
        result = convcli.convolve(IMAGE, KERNEL, method="tiled", workers=2)
        np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("action", [kill_myself, exit_early])
def test_a_worker_that_dies_gives_an_error_within_5_seconds(action, worker_does):
    worker_does(action)
    start = time.monotonic()
    with pytest.raises(convcli.ConvcliError, match="worker process died"):
        convcli.convolve(IMAGE, KERNEL, method="tiled", workers=2)
    assert time.monotonic() - start < 5


def test_the_next_picture_works_after_a_worker_died(worker_does, monkeypatch):
    worker_does(kill_myself)
    with pytest.raises(convcli.ConvcliError):
        convcli.convolve(IMAGE, KERNEL, method="tiled", workers=2)
    monkeypatch.undo()
    np.testing.assert_array_equal(
        convcli.convolve(IMAGE, KERNEL, method="tiled", workers=2),
        convcli.convolve(IMAGE, KERNEL, method="numba"),
    )


def test_an_idle_worker_killed_with_the_queue_lock_does_not_hang(worker_does):
    """One worker sleeps in a task; the other waits for one, holding the lock, and is killed."""
    worker_does(wait_long)

    def kill_all():
        while not active_children() and time.monotonic() < start + 5:
            time.sleep(0.01)
        time.sleep(0.3)
        for child in active_children():
            child.kill()

    killer = threading.Thread(target=kill_all)
    start = time.monotonic()
    killer.start()
    with pytest.raises(convcli.ConvcliError, match="worker process died"):
        convcli.convolve(IMAGE, KERNEL, method="tiled", workers=2)
    killer.join()
    assert time.monotonic() - start < 5


class NeverArrivesError(Exception):
    """Cannot be un-pickled: two arguments are needed, and one is kept."""

    def __init__(self, one, two):
        super().__init__(one)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("broken in a worker"), "broken in a worker"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
        (MemoryError(), "needs more memory than there is"),
        (NeverArrivesError(1, 2), "NeverArrivesError: 1"),
        (type("Local", (Exception,), {})(lambda: 0), "Local: <function"),
    ],
)
@pytest.mark.parametrize("where", ["while it filters", "while it starts"])
def test_whatever_a_worker_raises_is_said(error, reason, where, monkeypatch):
    parent = os.getpid()

    def fail():
        if os.getpid() != parent:
            raise error

    def prepared(*arguments):
        if where == "while it starts":
            fail()
        filter_region = prepare(*arguments)
        return lambda *region: fail() or filter_region(*region)

    monkeypatch.setattr(processes, "prepare", prepared)
    with pytest.raises(convcli.ConvcliError, match=f"worker process failed: {reason}"):
        convcli.convolve(IMAGE, KERNEL, method="tiled", workers=2)


@pytest.mark.parametrize("call", ["fork", "start_new_thread"])
def test_a_pool_that_cannot_be_started_is_said(monkeypatch, call):
    def refuse(*_arguments):
        raise OSError(11, os.strerror(11)) if call == "fork" else RuntimeError("can't start it")

    module = os if call == "fork" else threading
    monkeypatch.setattr(module, "fork" if call == "fork" else "_start_new_thread", refuse)
    with pytest.raises(convcli.ConvcliError, match="worker processes cannot be started"):
        convcli.convolve(IMAGE, KERNEL, method="tiled", workers=2)


def test_shared_memory_that_has_no_room_is_said(monkeypatch):
    """It is taken beforehand: to find it out by writing is to be killed by a SIGBUS."""

    def full(*_arguments):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(convcli.ConvcliError, match=r"no room for \d+ bytes .*No space left"):
        convcli.convolve(IMAGE, KERNEL, method="tiled", workers=2)


@pytest.fixture
def interruptible():
    """Python's own handler, also where tests run with interrupts ignored, as behind an ``&``."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_of_the_parent_ends_the_workers(worker_does):
    worker_does(wait_long)
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        convcli.convolve(IMAGE, KERNEL, method="tiled", workers=2)
    assert time.monotonic() - start < 5


def test_an_interrupt_just_as_the_pool_is_ready_leaves_no_workers(monkeypatch):
    real = signal.pthread_sigmask

    def interrupted(how, mask):
        before = real(how, mask)
        if how == signal.SIG_SETMASK:
            raise KeyboardInterrupt
        return before

    monkeypatch.setattr(signal, "pthread_sigmask", interrupted)
    there = set(active_children())
    with pytest.raises(KeyboardInterrupt):
        convcli.convolve(IMAGE, KERNEL, method="tiled", workers=2)
    assert set(active_children()) <= there


def test_a_task_is_a_few_numbers(monkeypatch):
    sizes = []
    real = processes.ProcessPool.apipe

    def weigh(self, function, *arguments):
        sizes.append(len(pickle.dumps(arguments)))
        return real(self, function, *arguments)

    monkeypatch.setattr(processes.ProcessPool, "apipe", weigh)
    convcli.convolve(IMAGE, KERNEL, method="tiled", workers=2)
    assert len(sizes) == 2
    assert max(sizes) < 1000


LARGE = np.random.default_rng(2).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)


def large_arenas():
    """Blocks of over 4 MB are given back to the system; smaller ones are kept to be used again."""
    return [arena for arena in processes.BufferWrapper._heap._arenas if arena.size > LARGE.nbytes]


def test_a_result_outlives_its_pool_and_gives_its_memory_back():
    row = convcli.convolve(LARGE, KERNEL, method="tiled", workers=2)[10:20]
    other = convcli.convolve(LARGE[::-1], KERNEL, method="tiled", workers=2)
    np.testing.assert_array_equal(row, convcli.convolve(LARGE, KERNEL, method="numba")[10:20])
    del row, other
    gc.collect()
    assert large_arenas() == []


def test_a_full_shared_memory_is_not_used(monkeypatch, tmp_path):
    """Where /dev/shm has no room the block is a temporary file: a write there is no SIGBUS."""
    full = type("Full", (), {"f_bavail": 0, "f_frsize": 4096})
    monkeypatch.setattr(heap.os, "statvfs", lambda path: full)
    asked = []
    monkeypatch.setattr(heap.util, "get_temp_dir", lambda: asked.append(1) or str(tmp_path))
    np.testing.assert_array_equal(
        convcli.convolve(LARGE, KERNEL, method="tiled", workers=2),
        convcli.convolve(LARGE, KERNEL, method="numba"),
    )
    assert len(asked) == 2
    assert list(tmp_path.iterdir()) == []
