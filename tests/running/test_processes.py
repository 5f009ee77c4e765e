"""Worker processes: whatever happens to one, there is an error and no hang, and nothing is left."""

from __future__ import annotations

import errno
import gc
import mmap
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
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
    """Files of shared memory that could hold pixels: semaphores, which others make, are smaller."""
    found = set()
    for path in Path("/dev/shm").glob("*"):
        with suppress(FileNotFoundError):
            if path.stat().st_size > 1000:
                found.add(path.name)
    return found


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
        monkeypatch.setattr(processes, "_do", action)

    return install


def kill_myself(region):
    os.kill(os.getpid(), signal.SIGKILL)


def exit_early(region):
    os._exit(3)


def wait_long(region):
    time.sleep(30)


def die_of_tall_regions(region, fill=processes._do):
    return kill_myself(region) if region[0][1] > 100 else fill(region)


def first_is_quick(region, fill=processes._do):
    return fill(region) if region[0][0] == 0 and region[1][0] == 0 else wait_long(region)


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
    # What an executor asks a context for.
    with ProcessPoolExecutor(1, context) as pool:
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
def test_workers_killed_at_birth_do_not_hang(monkeypatch, which, wanted):
    """An error, or the right result where the other worker had done all before it was noticed."""
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
    said = "worker process died"
    try:
        np.testing.assert_array_equal(tiled(), wanted)
    except convcli.ConvcliError as error:
        said = str(error)
    else:
        assert which != slice(2)  # with both killed
    assert "worker process died" in said
    assert time.monotonic() - start < 5
    assert len(born) == 2


def test_an_idle_worker_that_is_killed_with_a_lock_does_not_hang(worker_does):
    """One worker sleeps in a task; the other waits for one, holding the lock, and is killed."""
    worker_does(wait_long)

    def kill_all():
        a_child()
        time.sleep(0.3)
        for child in mp.active_children():
            child.kill()

    killer = threading.Thread(target=kill_all)
    start = time.monotonic()
    killer.start()
    with pytest.raises(convcli.ConvcliError, match="worker process died"):
        tiled()
    killer.join()
    assert time.monotonic() - start < 5


def fill_slowly(region, fill=processes._do):
    time.sleep(0.02)
    return fill(region)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1])
def test_workers_killed_at_any_moment_give_an_error_or_the_result(number, worker_does, wanted):
    worker_does(fill_slowly)
    chance, died = random.Random(number), 0
    for step in range(8):

        def kill(delay=step * 0.006):
            children = a_child()
            time.sleep(delay)
            with suppress(ProcessLookupError):  # the work is done
                os.kill(chance.choice(children).pid, number)

        killer = threading.Thread(target=kill)
        killer.start()
        start = time.monotonic()
        said = ""
        try:
            np.testing.assert_array_equal(tiled(), wanted)
        except convcli.ConvcliError as error:
            said = str(error)
        assert not said or "worker process died" in said
        died += bool(said)
        assert time.monotonic() - start < 5
        killer.join()
    assert died


def test_a_task_that_the_executor_loses_as_a_worker_dies_does_not_hang(monkeypatch, worker_does):
    """Python 3.11 may lose one that is submitted in the same microseconds."""
    submit = ProcessPoolExecutor.submit

    def lose(self, *task):
        submit(self, *task)
        return Future()

    worker_does(kill_myself)
    monkeypatch.setattr(ProcessPoolExecutor, "submit", lose)
    errors = []

    def run():
        try:
            tiled()
        except convcli.ConvcliError as error:
            errors.append(str(error))

    # In a thread, so that this test fails where it would wait for ever.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert "worker process died" in errors[0]


def test_workers_end_soon_after_a_parent_that_is_killed():
    code = (
        "import os, time, numpy, convcli\n"
        "from convcli.running import processes\n"
        "def wait(region):\n"
        "    os.write(1, b'begun\\n')\n"
        "    time.sleep(60)\n"
        "processes._do = wait\n"
        "image = numpy.zeros((600, 800, 3), numpy.uint8)\n"
        "convcli.convolve(image, numpy.ones((3, 3)), method='tiled', workers=2)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert [parent.stdout.readline() for _ in range(2)] == [b"begun\n"] * 2
        parent.kill()
        start = time.monotonic()
        assert parent.stdout.read() == b""  # until the last of them has closed it
    assert time.monotonic() - start < 2


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
        (ValueError("x" * 100_000), "xxx"),
    ],
)
def test_whatever_a_worker_raises_is_reported(error, reason, monkeypatch):
    parent = os.getpid()

    def prepared(*arguments):
        filter_region = prepare(*arguments)

        def fill(*region):
            if os.getpid() != parent:
                raise error
            filter_region(*region)

        return fill

    monkeypatch.setattr(processes, "prepare", prepared)
    with pytest.raises(convcli.ConvcliError, match=f"worker process failed: {reason}"):
        tiled()


def test_a_worker_that_cannot_start_its_thread_is_reported(monkeypatch):
    parent, start = os.getpid(), threading.Thread.start

    def refuse(self):
        if os.getpid() != parent:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(convcli.ConvcliError, match=r"worker process failed: .*can't start"):
        tiled()


@pytest.mark.parametrize("allowed", [0, 1])
def test_processes_that_the_system_refuses_are_reported(monkeypatch, allowed):
    fork, left = os.fork, iter(range(allowed))

    def refuse():
        if next(left, None) is None:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    monkeypatch.setattr(os, "fork", refuse)
    with pytest.raises(convcli.ConvcliError, match="worker processes cannot be started"):
        tiled()


@pytest.mark.parametrize("allowed", range(6))
def test_threads_that_the_system_refuses_are_reported(monkeypatch, allowed):
    """An executor of Python 3.11 hangs without its second."""
    start, alive = threading.Thread.start, threading.active_count() + allowed

    def refuse(self):
        if threading.active_count() >= alive:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(convcli.ConvcliError, match=r"worker processes cannot be started .*can't"):
        tiled()


def test_a_daemon_of_multiprocess_may_start_no_workers():
    """multiprocess forbids it."""
    ours, theirs = mp.Pipe()

    def work():
        try:
            tiled()
        except convcli.ConvcliError as error:
            theirs.send(str(error))

    daemon = mp.get_context("fork").Process(target=work, daemon=True)
    daemon.start()
    assert ours.poll(10)
    assert "daemonic processes are not allowed to have children" in ours.recv()
    daemon.join()


def test_a_system_that_cannot_fork_is_told_to_use_threads(monkeypatch):
    monkeypatch.delattr(os, "fork")
    with pytest.raises(convcli.ConvcliError, match=r"needs fork.*use --method numba"):
        tiled()


def test_shared_memory_that_the_system_refuses_is_reported(monkeypatch):
    def refuse(*_arguments):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(convcli.ConvcliError, match=r"no room for 1440000 bytes .*Cannot allocate"):
        tiled()


def test_memory_that_is_not_free_is_not_taken(monkeypatch):
    """It would be found out by a kill."""
    monkeypatch.setattr(memory, "available", lambda: IMAGE.nbytes - 1)
    with pytest.raises(convcli.ConvcliError, match=r"needs about 1\.4 MB of memory"):
        tiled()


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="of Linux")
def test_no_file_holds_the_pixels():
    """A full /dev/shm does not matter, and a kill of everything leaves nothing there."""
    before, seen = shared_memories(), []
    tiled(on_progress=lambda *_done: seen.append(shared_memories() - before))
    assert seen == [set(), set()]


@pytest.mark.skipif(not os.path.isfile("/proc/self/maps"), reason="of Linux")
def test_a_result_outlives_its_pool_and_gives_its_memory_back(wanted):
    def shared_mappings():
        gc.collect()
        return Path("/proc/self/maps").read_text().count("/dev/zero")

    before = shared_mappings()
    row = tiled()[10:20]
    other = tiled(IMAGE[::-1])
    assert shared_mappings() == before + 2
    np.testing.assert_array_equal(row, wanted[10:20])
    del row, other
    assert shared_mappings() == before


def test_a_task_is_a_few_numbers(monkeypatch):
    sizes, submit = [], ProcessPoolExecutor.submit

    def weigh(self, *task):
        sizes.append(len(pickle.dumps(task)))
        return submit(self, *task)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", weigh)
    tiled()
    assert len(sizes) == 3  # two regions, and the task that starts the workers
    assert max(sizes) < 1000


def test_pools_of_several_threads_do_not_meet(worker_does):
    """One whose workers die does not disturb the others."""
    worker_does(die_of_tall_regions)
    small = IMAGE[:100]
    expected = convcli.convolve(small, KERNEL, method="numba")
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            results = [threads.submit(tiled, image) for image in (IMAGE, small) * 2]
            for result in results[1::2]:
                np.testing.assert_array_equal(result.result(), expected)
            for result in results[::2]:
                with pytest.raises(convcli.ConvcliError, match="worker process died"):
                    result.result()


def test_one_pool_at_a_time_forks(monkeypatch):
    """Else its workers would hold the pipes by which another pool notices a death."""
    fork, forking = os.fork, []

    def slow():
        forking.append(threading.get_ident())
        time.sleep(0.05)
        return fork()

    monkeypatch.setattr(os, "fork", slow)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(tiled, [IMAGE, IMAGE]))
    assert forking[0] == forking[1] != forking[2] == forking[3]


@pytest.fixture
def interruptible():
    """Python's own handler, also where tests run with interrupts ignored, as behind an ``&``."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_of_the_parent_ends_the_workers(worker_does):
    worker_does(wait_long)
    timer = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        tiled()
    assert time.monotonic() - start < 2
    timer.join()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, OSError])
def test_what_a_callback_raises_ends_the_workers(error, worker_does):
    def fail(done, total):
        raise error

    tiled()  # loads, and may compile, the loops
    worker_does(first_is_quick)
    start = time.monotonic()
    with pytest.raises(error):
        tiled(on_progress=fail)
    assert time.monotonic() - start < 2


def test_an_interrupt_just_as_the_pool_is_ready_leaves_no_workers(monkeypatch):
    real = signal.pthread_sigmask

    def interrupted(how, mask):
        before = real(how, mask)
        if how == signal.SIG_SETMASK:
            raise KeyboardInterrupt
        return before

    monkeypatch.setattr(signal, "pthread_sigmask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tiled()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_worker_runs_no_handler_of_its_parent(number, monkeypatch, tmp_path, wanted):
    """Not even one that gets a signal as soon as it is born; it would remove its files."""
    fork, parent = os.fork, os.getpid()

    def signalled():
        if not (pid := fork()):
            os.kill(os.getpid(), number)
        return pid

    def handler(*_arguments):
        if os.getpid() != parent:
            (tmp_path / "handled").touch()

    before = signal.signal(number, handler)
    monkeypatch.setattr(os, "fork", signalled)
    try:
        np.testing.assert_array_equal(tiled(), wanted)  # workers ignore it
    finally:
        signal.signal(number, before)
    assert list(tmp_path.iterdir()) == []


def test_a_warning_of_a_fork_beside_threads_reaches_no_user(monkeypatch, wanted):
    """Python 3.12 and newer warn so; here, as elsewhere in these tests, that is an error."""
    fork = os.fork

    def warn():
        warnings.warn(
            f"This process (pid={os.getpid()}) is multi-threaded, use of fork() may lead to "
            "deadlocks in the child.",
            DeprecationWarning,
            stacklevel=2,
        )
        return fork()

    monkeypatch.setattr(os, "fork", warn)
    np.testing.assert_array_equal(tiled(), wanted)
