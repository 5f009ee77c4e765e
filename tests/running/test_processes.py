"""Worker processes: whatever happens to one, there is an error and no hang, and nothing is left."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from pathos.helpers import mp

import convcli
from convcli import memory
from convcli.running import processes
from convcli.running.regions import prepare

IMAGE = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
KERNEL = np.random.default_rng(1).normal(size=(3, 3))


def tiled(image=IMAGE, **options):
    return convcli.convolve(image, KERNEL, method="tiled", workers=2, **options)


@pytest.fixture(scope="module")
def wanted():
    return convcli.convolve(IMAGE, KERNEL, method="numba")


def shared_memories():
    folder = Path("/dev/shm")
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


@pytest.fixture(autouse=True)
def nothing_is_left():
    before, threads = shared_memories(), threading.active_count()
    yield
    assert mp.active_children() == []
    assert shared_memories() <= before
    assert threading.active_count() == threads


@pytest.fixture
def worker_does(monkeypatch):
    """Make the workers do something else with a region."""

    def install(action):
        monkeypatch.setattr(processes, "_fill_region", action)

    return install


def kill_myself(region):
    os.kill(os.getpid(), signal.SIGKILL)


def exit_early(region):
    os._exit(3)


def wait_long(region):
    time.sleep(30)


def a_child():
    """Wait until there are workers, and return them."""
    end = time.monotonic() + 5
    while not (children := mp.active_children()) and time.monotonic() < end:
        time.sleep(0.001)
    return children


def test_the_names_that_are_used_of_pathos_are_there():
    """The oldest and the newest pathos have them; neither says that they are kept."""
    assert mp.__name__ == "multiprocess"
    assert "fork" in mp.get_all_start_methods()
    assert callable(mp.active_children)  # in these tests alone
    context = mp.get_context("fork")
    assert context.get_start_method() == "fork"
    worker = context.Process(target=time.sleep, args=(30,))
    assert (worker.pid, worker.exitcode) == (None, None)
    worker.start()
    assert worker.pid
    worker.kill()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    with ProcessPoolExecutor(1, context) as pool:  # which asks more of a context
        assert pool.submit(int).result(10) == 0


def test_pools_can_be_used_again_and_again(wanted):
    for _ in range(3):
        np.testing.assert_array_equal(tiled(), wanted)


def test_progress_is_reported_for_each_region_by_the_thread_that_asked():
    seen = []
    tiled(on_progress=lambda *done: seen.append((*done, threading.current_thread())))
    assert seen == [(1, 2, threading.current_thread()), (2, 2, threading.current_thread())]


@pytest.mark.parametrize("action", [kill_myself, exit_early])
def test_a_worker_that_dies_gives_an_error_within_5_seconds(action, worker_does):
    worker_does(action)
    start = time.monotonic()
    with pytest.raises(convcli.ConvcliError, match="worker process died"):
        tiled()
    assert time.monotonic() - start < 5


def test_the_next_picture_works_after_a_worker_died(worker_does, monkeypatch, wanted):
    worker_does(kill_myself)
    with pytest.raises(convcli.ConvcliError):
        tiled()
    monkeypatch.undo()
    np.testing.assert_array_equal(tiled(), wanted)


@pytest.mark.parametrize("which", [slice(1), slice(1, 2), slice(2)])
def test_workers_killed_at_birth_do_not_hang(monkeypatch, which):
    fork, born = os.fork, []

    def fork_and_kill():
        pid = fork()
        if pid:
            born.append(pid)
            if pid in born[which]:
                os.kill(pid, signal.SIGKILL)
        return pid

    monkeypatch.setattr(os, "fork", fork_and_kill)
    start = time.monotonic()
    with pytest.raises(convcli.ConvcliError, match="worker process died"):
        tiled()
    assert time.monotonic() - start < 5
    assert len(born) == 2


def test_an_idle_worker_that_is_killed_with_a_lock_does_not_hang(worker_does):
    """One worker sleeps in a task; the other waits for one, holding the lock, and is killed."""
    worker_does(wait_long)

    def kill_all():
        for child in (a_child() and time.sleep(0.3)) or mp.active_children():
            child.kill()

    killer = threading.Thread(target=kill_all)
    start = time.monotonic()
    killer.start()
    with pytest.raises(convcli.ConvcliError, match="worker process died"):
        tiled()
    killer.join()
    assert time.monotonic() - start < 5


LARGE = np.random.default_rng(2).integers(0, 256, (3000, 3000), dtype=np.uint8)
DENSE = np.random.default_rng(3).normal(size=(9, 9)) / 100


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_killed_at_any_moment_give_an_error_or_the_result(number):
    chance = random.Random(number)
    right = convcli.convolve(LARGE, DENSE, method="numba")
    died = 0

    def kill(delay):
        children = a_child()
        time.sleep(delay)
        if children:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(children).pid, number)

    for _ in range(8):
        killer = threading.Thread(target=kill, args=[chance.random() * 0.05])
        killer.start()
        start = time.monotonic()
        try:
            result = convcli.convolve(LARGE, DENSE, method="tiled", workers=2)
        except convcli.ConvcliError as error:
            died += "worker process died" in str(error)
        else:
            np.testing.assert_array_equal(result, right)
        assert time.monotonic() - start < 5
        killer.join()
    assert died


class NeverArrivesError(Exception):
    """It cannot be un-pickled: it takes two arguments and keeps one."""

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
        (ValueError("x" * 100_000), "x{400}"),
    ],
)
def test_whatever_a_worker_raises_is_reported(error, reason, monkeypatch):
    parent = os.getpid()

    def prepared(*arguments):
        filter_region = prepare(*arguments)

        def fails(*region):
            if os.getpid() != parent:
                raise error
            filter_region(*region)

        return fails

    monkeypatch.setattr(processes, "prepare", prepared)
    with pytest.raises(convcli.ConvcliError, match=f"worker process failed: {reason}"):
        tiled()


@pytest.mark.parametrize("call", ["fork", "start_new_thread"])
def test_workers_that_cannot_be_started_are_an_error(monkeypatch, call):
    def refuse(*_arguments):
        raise OSError(11, os.strerror(11)) if call == "fork" else RuntimeError("can't start it")

    module = os if call == "fork" else threading
    monkeypatch.setattr(module, "fork" if call == "fork" else "_start_new_thread", refuse)
    with pytest.raises(convcli.ConvcliError, match="worker processes cannot be started"):
        tiled()


def test_one_worker_of_two_that_cannot_be_started_is_an_error(monkeypatch):
    fork, forks = os.fork, []

    def once():
        if forks:
            raise OSError(11, os.strerror(11))
        forks.append(fork())
        return forks[0]

    monkeypatch.setattr(os, "fork", once)
    with pytest.raises(convcli.ConvcliError, match="worker processes cannot be started"):
        tiled()


def test_a_system_without_fork_is_named(monkeypatch):
    monkeypatch.setattr(mp, "get_all_start_methods", lambda: ["spawn"])
    with pytest.raises(convcli.ConvcliError, match=r"'tiled' needs fork.* use --method numba"):
        tiled()


def test_memory_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(convcli.ConvcliError, match=r"needs about 1\.4 MB of memory"):
        tiled()


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
        tiled()
    assert time.monotonic() - start < 2.5
    timer.join()


def test_an_error_in_the_callers_own_progress_ends_the_workers():
    def stop(_done, _total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiled(on_progress=stop)


def test_an_interrupt_just_as_the_workers_are_there_leaves_none(monkeypatch):
    real = signal.pthread_sigmask

    def interrupted(how, mask):
        before = real(how, mask)
        if how == signal.SIG_SETMASK:
            raise KeyboardInterrupt
        return before

    monkeypatch.setattr(signal, "pthread_sigmask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tiled()


def test_a_task_is_a_few_numbers(monkeypatch):
    sizes = []
    real = ProcessPoolExecutor.submit

    def weigh(self, function, *arguments):
        sizes.append(len(pickle.dumps(arguments)))
        return real(self, function, *arguments)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", weigh)
    tiled()
    assert len(sizes) == 3  # one that starts the workers, and two regions
    assert max(sizes) < 100


def test_workers_end_soon_after_a_parent_that_is_killed():
    code = (
        "import numpy, time, convcli\n"
        "from convcli.running import processes\n"
        "def slow(region): time.sleep(60)\n"
        "processes._fill_region = slow\n"
        "convcli.convolve(numpy.zeros((600, 800)), [[1, 2]], method='tiled', workers=2)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    end = time.monotonic() + 20
    while len(workers := children.read_text().split()) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    parent.kill()
    parent.wait()
    end = time.monotonic() + 3
    while any(is_running(worker) for worker in workers) and time.monotonic() < end:
        time.sleep(0.05)
    assert len(workers) == 2
    assert not any(is_running(worker) for worker in workers)


def is_running(worker):
    with suppress(OSError):
        return Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
