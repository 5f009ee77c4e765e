"""Whole processes under faults: kills, full disks, odd environments, packages that are broken."""

from __future__ import annotations

import errno
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.signals import attended
from tests.terminals import seen

pytestmark = pytest.mark.slow  # they start 300 processes

BLUR = ("blur", "--sigma", "1", "-m", "numpy")
PATIENCE = 60  # seconds; a process that takes longer hangs

RUN = """
import sys
sys.argv = ["convcli", *sys.argv[1:]]
from convcli.__main__ import program
{patch}
program()
"""


@pytest.fixture
def folder(tmp_path, picture_file, monkeypatch):
    """Six photographs in `in`, one of them in `a.png`."""
    for number in range(6):
        picture_file(f"in/{number}.png")
    shutil.copy(tmp_path / "in" / "0.png", tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(*argv, patch="", **settings):
    """Start the program after some code that replaces a part of it."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN.replace("{patch}", patch), *map(str, argv)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | settings,
        preexec_fn=attended,
    )


def ended(process):
    """Wait for a process; return its exit status, standard output and standard error."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()  # a failed test does not wait until it wakes up
    return process.returncode, out, err


def shell(command, **settings):
    """Run a line of shell in which ``convcli`` runs the program."""
    line = f'convcli() {{ "{sys.executable}" -m convcli "$@"; }}; {command}'
    return subprocess.run(
        ["sh", "-c", line], capture_output=True, timeout=PATIENCE, text=True, **settings
    )


def at_once(run, commands):
    """Run commands two at a time, in any order, and return their results."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, commands))


def children_of(pid):
    children = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            children += map(int, (task / "children").read_text().split())
    return children


def is_alive(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def until(condition):
    """Wait until something holds, and return it."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def names_in(folder):
    return sorted(path.name for path in Path(folder).iterdir())


# --- kills


KILLED = """
import itertools, os, convcli.files.writing as writing
def killing(number, call, before=lambda *_: None):
    count = itertools.count(1)
    def killer(*arguments, **more):
        if next(count) == number:
            before(*arguments)
            os.kill(os.getpid(), 9)
        return call(*arguments, **more)
    return killer
def half(file, content, write=writing._Whole.write):
    write(file, content[: len(content) // 2])
    file.flush()
"""
MOMENTS = {
    "half of a file": "writing._Whole.write = killing(2, writing._Whole.write, half)",
    "before a sync": "os.fsync = killing(2, os.fsync)",
    "before a name": "os.link = killing(3, os.link)",
    "before a later sync": "os.fsync = killing(9, os.fsync)",
}


def test_a_batch_that_is_killed_leaves_whole_files_and_nothing_else(folder):
    """The other worker is anywhere in its own image when the program is killed."""
    argv = (*BLUR, "-r", "in", "-w", "2", "-q")
    assert ended(start(*argv, "-o", "whole"))[0] == 0
    whole = {path.name: path.read_bytes() for path in Path("whole").iterdir()}
    assert len(whole) == 6
    for moment, patch in MOMENTS.items():
        out = Path(moment)
        assert ended(start(*argv, "-o", out, patch=KILLED + patch))[0] == -signal.SIGKILL
        left = {path.name: path.read_bytes() for path in out.iterdir()}
        assert left.items() <= whole.items(), moment
        assert len(left) < 6


WORKER = """
import convcli.running.processes as processes, convcli.planning.choice as planning, os, signal, time
def filtered(region, fill=processes._do):
    {action}
    return fill(region)
processes._do = filtered
"""
TILED = ("blur", "--sigma", "1", "-m", "tiled", "-w", "2", "-r", "in", "-o", "out")


def test_a_killed_worker_costs_one_picture(folder):
    """Three workers and six images: the one that is killed always works on the current image."""
    action = "os.path.exists('killed') or (open('killed', 'w'), os.kill(os.getpid(), 9))"
    status, _, said = ended(start(*TILED, patch=WORKER.replace("{action}", action)))
    first, last = said.splitlines()[-2:]
    assert "a worker process died (killed, or out of memory); try fewer --workers" in first
    assert (status, last) == (1, "5 written, 1 failed, 0 skipped")
    assert len(names_in("out")) == 5


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="asks Linux for the workers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_workers_do_not_outlive_the_program(folder, number):
    before = names_in("/dev/shm")
    process = start(*TILED, patch=WORKER.replace("{action}", "time.sleep(0.5)"))
    workers = until(lambda: len(found := children_of(process.pid)) >= 2 and found)
    process.send_signal(number)
    status, _, said = ended(process)
    assert status == -number
    if number != signal.SIGKILL:
        assert said.splitlines()[-1] == "0 written, 0 failed, 0 skipped, then interrupted"
    until(lambda: not any(map(is_alive, workers)))
    assert not Path("out").exists() or names_in("out") == []
    until(lambda: set(names_in("/dev/shm")) <= set(before))  # others' semaphores go at once


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="asks Linux for the workers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_processes_is_no_dead_worker(folder, number):
    patch = WORKER.replace("{action}", "time.sleep(0.5)")
    process = start(*TILED, patch=patch, start_new_session=True)
    until(lambda: len(children_of(process.pid)) >= 2)
    os.killpg(process.pid, number)
    status, _, said = ended(process)
    assert (status, said) == (-number, "0 written, 0 failed, 0 skipped, then interrupted\n")


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="asks Linux for the workers")
def test_nothing_is_left_when_all_are_killed(folder):
    before = names_in("/dev/shm")
    action = WORKER.replace("{action}", "time.sleep(9)")
    process = start(*TILED, patch=action, start_new_session=True)
    until(lambda: len(children_of(process.pid)) >= 2)
    os.killpg(process.pid, signal.SIGKILL)
    ended(process)
    until(lambda: set(names_in("/dev/shm")) <= set(before))  # others' semaphores go at once
    assert not Path("out").exists() or names_in("out") == []


# --- signals


STUCK = """
import convcli.filtering.convolution as convolution, os, time
def stuck(pixels, filter_, **options):
    os.write(1, b"begun\\n")  # at once: two threads may print two beginnings and then two ends
    time.sleep(30)
convolution.apply = stuck
"""


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_at_once(folder, second):
    patient = "import convcli.batch.run as batch, convcli.cli.signals as whole\n"
    patient += "batch._PATIENCE_SECONDS = whole._PATIENCE_SECONDS = 30\n"
    process = start(*BLUR, "-r", "in", "-o", "out", patch=patient + STUCK)
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.3)  # the program now waits for the image
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(second)
    assert process.wait(10) == -second
    ended(process)


def test_ctrl_c_during_the_imports_is_silent(folder, tmp_path):
    """The first import waits, so the signal arrives during the imports."""
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "typer.py").write_text("print('begun', flush=True); import time; time.sleep(30)")
    path = os.pathsep.join([str(slow), os.environ.get("PYTHONPATH", "")])
    process = start("--help", env=os.environ | {"PYTHONPATH": path})
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    assert ended(process) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("inputs", [("a.png",), ("-r", "in")], ids=["one", "many"])
def test_ctrl_c_does_not_wait_for_a_slow_decoder(folder, inputs):
    patch = "import PIL.PngImagePlugin as p, os, time\ndef load(self):\n"
    patch += "    os.write(1, b'begun\\n')\n    time.sleep(99)\np.PngImageFile.load = load\n"
    process = start(*BLUR, *inputs, "-o", "out/", patch=patch)
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.5)  # meanwhile the imports end
    process.send_signal(signal.SIGINT)
    status, _, said = ended(process)
    assert (status, "Traceback" in said) == (-signal.SIGINT, False)
    assert not Path("out").exists()


# --- disks


@pytest.fixture
def traced(folder):
    """Run the program with a fault in a system call: ``traced(call, fault, *argv)``."""
    strace = ["strace", "-f", "-qq", "-o", os.devnull]
    if not shutil.which("strace") or subprocess.run([*strace, "true"], check=False).returncode:
        pytest.skip("needs strace, and permission to use it")

    def run(call, fault, *argv):
        inject = ["-e", f"trace={call}", "-e", f"inject={call}:{fault}"]
        command = [*strace, *inject, sys.executable, "-m", "convcli", *argv]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)

    return run


@pytest.mark.parametrize(
    ("call", "number", "is_new"),
    [("fchmod", 1, False), ("fsync", 1, False), ("linkat", 1, False), ("/^rename", 1, False),
     ("fsync", 2, True)],
)  # fmt: skip
def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new(traced, call, number, is_new):
    if is_new:
        assert ended(start(*BLUR, "in/0.png", "-o", "new.png"))[0] == 0
    wanted = Path("new.png" if is_new else "a.png").read_bytes()
    done = traced(call, f"signal=KILL:when={number}", *BLUR, "a.png", "--in-place")
    assert done.returncode == -signal.SIGKILL
    assert Path("a.png").read_bytes() == wanted
    left = set(names_in(".")) - {"a.png", "in", "new.png"}
    assert len(left) == (call == "/^rename")
    if left:  # a complete image under a hidden name, which later runs do not read
        assert shell("convcli blur --sigma 1 -r . -o out -q").returncode == 0
        assert names_in("out") == ["a.png", "in"]


@pytest.mark.parametrize(
    ("call", "number"), [("fsync", "ENOSPC"), ("linkat", "EIO"), ("/^rename", "EDQUOT")]
)
def test_an_error_of_the_system_leaves_the_old_file_and_nothing_else(traced, call, number):
    old = Path("a.png").read_bytes()
    done = traced(call, f"error={number}", *BLUR, "a.png", "--in-place")
    reason = os.strerror(getattr(errno, number))
    assert done.stderr == f"convcli: 'a.png': cannot write 'a.png': {reason}\n"
    assert done.returncode == 1
    assert Path("a.png").read_bytes() == old
    assert names_in(".") == ["a.png", "in"]


@pytest.fixture
def with_disk(folder):
    """Run a line of shell in which a folder is a disk of a given number of kilobytes."""

    def run(place, kilobytes, command):
        mount = f"mount -t tmpfs -o size={kilobytes}k none {place}"
        inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
        if not shutil.which("unshare") or subprocess.run([*inside, mount], check=False).returncode:
            pytest.skip("needs a kernel that lets users mount")
        line = f'{mount}; convcli() {{ "{sys.executable}" -m convcli "$@"; }}; {command}'
        return subprocess.run([*inside, line], capture_output=True, text=True, timeout=PATIENCE)

    return run


def test_a_small_disk_keeps_what_was_on_it(with_disk, picture_file, photo):
    picture_file("b.png", photo)  # 400 kB
    Path("disk").mkdir()
    done = with_disk(
        "disk", 100,
        "cp in/0.png disk/b.png; convcli blur -s 1 -w 1 -m numpy a.png b.png in/1.png -o disk -f;"
        "echo $?; ls -A disk; cmp disk/b.png in/0.png",
    )  # fmt: skip
    reason = "No space left on device"
    assert done.stderr.splitlines() == [
        f"convcli: 'b.png': cannot write 'disk/b.png': {reason}",
        f"1 written, 1 failed, 0 skipped, 1 not tried: {reason}",
    ]
    assert done.stdout.split() == ["1", "a.png", "b.png"]


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="of Linux")
@pytest.mark.parametrize("kilobytes", [4, 64, 700])
def test_a_small_shared_memory_is_no_sigbus(with_disk, picture_file, photo, kilobytes):
    picture_file("b.png", photo)  # 768 kB in memory
    done = with_disk(
        "/dev/shm",
        kilobytes,
        "convcli blur --sigma 1 -m tiled b.png -q; echo $?; ls -A /dev/shm",
    )
    assert done.stderr.count("\n") == (kilobytes == 4)
    if kilobytes == 4:  # too small for a semaphore
        assert "worker processes cannot be started (No space left on device)" in done.stderr
    assert done.stdout == ("1\n" if kilobytes == 4 else "0\n")


@pytest.mark.parametrize("number", ["ENOSPC", "EDQUOT", "EROFS"])
def test_a_disk_without_room_stops_a_batch(folder, number):
    patch = (
        "import convcli.files.writing as writing, errno, os\n"
        "count = iter(range(100))\n"
        "def fsync(file, sync=os.fsync):\n"
        f"    if next(count) >= 2: raise OSError(errno.{number}, os.strerror(errno.{number}))\n"
        "    sync(file)\n"
        "writing._sync_folder = lambda folder: None\n"
        "os.fsync = fsync\n"
    )
    for way in ((), ("--json",)):
        status, out, said = ended(
            start(*BLUR, "-w", "1", "-r", "in", "-o", f"out{way}", *way, patch=patch)
        )
        reason = os.strerror(getattr(errno, number))
        failed, last = said.splitlines()
        assert failed.endswith(f": {reason}")
        assert last == f"2 written, 1 failed, 0 skipped, 3 not tried: {reason}"
        assert status == 1
        assert len(names_in(f"out{way}")) == 2
        assert out.count('"status": "not tried"') == (3 if way else 0)


def test_a_limit_of_a_files_size_is_not_the_end_of_a_batch(folder, picture_file, photo):
    picture_file("in/large.png", photo)
    done = shell("ulimit -f 100; convcli blur --sigma 1 -m numpy -r in -o out")
    failed, last = done.stderr.splitlines()
    assert failed == "convcli: 'in/large.png': cannot write 'out/large.png': File too large"
    assert (done.returncode, last) == (1, "6 written, 1 failed, 0 skipped")


# --- limits of the system


@pytest.mark.parametrize("method", ["numpy", "numba", "fft", "tiled"])
def test_few_open_files_are_enough(folder, method):
    done = shell(f"ulimit -n 32; convcli blur --sigma 1 -m {method} -r in -o out -q")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(names_in("out")) == 6


@pytest.mark.parametrize("threads", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("method", ["numba", "tiled"])
def test_too_few_threads_are_one_line(folder, threads, method):
    patch = (
        "import _thread, threading\n"
        f"left = iter(range({threads}))\n"
        "def start(*arguments, begin=threading._start_new_thread):\n"
        '    if next(left, None) is None: raise RuntimeError("can\'t start new thread")\n'
        "    return begin(*arguments)\n"
        "threading._start_new_thread = start\n"
    )
    argv = ("blur", "--sigma", "1", "-m", method, "a.png", "-q")
    status, _, said = ended(start(*argv, patch=patch))
    if status:
        assert said.count("\n") == 1
        assert "can't start new thread" in said
    else:
        assert (said, Path("a.blur.png").exists()) == ("", True)
    assert names_in(".") == sorted(["a.png", "in", *(() if status else ["a.blur.png"])])


MEMORY = {
    "numpy": "blur --sigma 1 -m numpy a.png -q -f",
    "numba": "blur --sigma 1 -m numba a.png -q -f",
    "fft": "blur --sigma 9 -m fft a.png -q -f",
    "tiled": "blur --sigma 1 -m tiled a.png -q -f",
    "edge": "edge a.png -q -f",
    "kernel": "kernel sobel",
    "compare": "compare a.png a.png",
}


@pytest.mark.parametrize("command", MEMORY)
def test_too_little_memory_is_one_line_and_no_hang(folder, command):
    """From too little for Python's modules, through what OpenBLAS and LLVM need, to enough."""

    def run(megabytes):
        limit = megabytes << 20
        return megabytes, subprocess.run(
            [sys.executable, "-m", "convcli", *MEMORY[command].split()],
            capture_output=True, text=True, timeout=PATIENCE,
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_AS, (limit, limit)),
        )  # fmt: skip

    failed = 2 if command == "compare" else 1
    limits = [25, 60, 90, 97, 105, 115, 130, 170, 200, 300, 500, 1000]
    for megabytes, done in at_once(run, limits if command == "numba" else limits[1::3]):
        assert "Traceback" not in done.stderr, megabytes
        ends = ((0, 0), (failed, 1))
        assert (done.returncode, done.stderr.count("\n")) in ends, (megabytes, done.stderr)


ENDS = """
import ctypes, os
import convcli.image as image
def read(*_, **__):
    os.write(2, b"chatter\\nthe library: no memory left\\n")
    ctypes.CDLL(None).exit(7)
image.read = read
import convcli.cli.run as run, convcli.cli.commands.compare as compare
run.image.read = read
"""


@pytest.mark.parametrize("stream", ["", "2>/dev/full", "2>&-"])
@pytest.mark.parametrize("inputs", ["a.png", "-r in"])
def test_a_c_library_that_ends_the_program_is_reported(folder, inputs, stream):
    """As OpenBLAS does where it finds no memory."""
    code = RUN.replace("{patch}", ENDS)
    argv = f"{' '.join(BLUR)} {inputs} -o out/"
    done = shell(
        f"'{sys.executable}' -c \"$CODE\" {argv} {stream}", env=os.environ | {"CODE": code}
    )
    said = "convcli: a C library ended the program: the library: no memory left\n"
    assert (done.returncode, done.stderr) == (1, "" if stream else said)
    assert not Path("out").exists()


CRASHES = """
import ctypes, convcli.batch.run as batch
def crash(*_): ctypes.CDLL(None).abort()
batch.outcome_of = crash
"""


def test_a_crash_of_a_c_library_is_not_silent(folder):
    status, _, said = ended(start(*BLUR, "a.png", patch=CRASHES))
    assert (status, said.splitlines()[0]) == (-signal.SIGABRT, "Fatal Python error: Aborted")


def test_a_module_that_cannot_be_loaded_is_one_line(folder, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/typer.py").write_text("raise MemoryError")
    path = os.pathsep.join([str(tmp_path / "broken"), os.environ.get("PYTHONPATH", "")])
    status, _, said = ended(start("--help", env=os.environ | {"PYTHONPATH": path}))
    why = "convcli: cannot be started, perhaps for lack of memory (MemoryError)\n"
    assert (status, said) == (1, why)


# --- packages


@pytest.mark.parametrize("error", ["ImportError", "RuntimeError"])
@pytest.mark.parametrize(("package", "words"), [("numba", ["numba"]), ("pathos", ["tiled"])])
def test_a_package_that_cannot_be_imported_is_needed_by_its_methods_alone(
    folder, error, package, words
):
    stub = folder / "stubs" / package
    stub.mkdir(parents=True)
    (stub / "__init__.py").write_text(f"raise {error}('broken\\non this machine')")
    (stub / "_version.py").write_text("")
    path = os.pathsep.join([str(folder / "stubs"), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"PYTHONPATH": path, "XDG_CACHE_HOME": str(folder / "cache")}
    run = partial(shell, env=env)
    plain = [f"convcli {argv}" for argv in ("--help", "blur --help", "--version", "kernel sobel")]
    assert [done.returncode for done in at_once(run, plain)] == [0] * 4
    methods = ["auto", "numpy", "fft", *words]
    # Not in light or in float32, for which a wheel brings compiled loops: they need no numba.
    blurs = [f"convcli blur --sigma 1 --exact -m {method} a.png -f -q" for method in methods]
    for method, done in zip(methods, at_once(run, blurs), strict=True):
        if method in words:
            assert done.stderr.count("\n") == 1
            # Where a wheel has brought loops, numba is needed only when one has to be compiled.
            early = f"method '{method}' needs the package {package}" in done.stderr
            assert early or f"{package} cannot be imported" in done.stderr
            assert r"broken\non this machine" in done.stderr
            assert done.returncode == (2 if early else 1)
        else:
            assert (done.returncode, done.stderr) == (0, "")


# --- environments and streams


WAYS = {
    "plain": ("blur --sigma 1 a.png -f", 0),
    "json": ("blur --sigma 1 a.png -f --json", 0),
    "dry run": ("blur --sigma 1 a.png -n -f", 0),
    "explain": ("blur --sigma 1 a.png -f --explain", 0),
    "no preview": ("blur --sigma 1 a.png --preview", 2),
    "compare": ("compare a.png a.png", 0),
    "batch": ("blur --sigma 1 -r in -o out -f", 0),
    "a failure": ("blur --sigma 1 é.png", 1),
    "kernel": ("kernel sobel", 0),
    "help": ("edge --help", 0),
}
FEW = ("plain", "explain", "batch", "help")
PRINTED = ("ascii", "narrow")
ENVIRONMENTS = {
    "C": "LC_ALL=C",
    "ascii": "PYTHONIOENCODING=ascii LC_ALL=C PYTHONUTF8=0",
    "dumb": "TERM=dumb NO_COLOR=1",
    "narrow": "COLUMNS=1",
    "nothing": "-i XDG_CACHE_HOME='{cache}'",  # the user's cache must stay untouched
    "no home": "HOME=/proc/nowhere XDG_CACHE_HOME=",  # not even root can make folders there
    "relative cache": "HOME='{cache}' XDG_CACHE_HOME=cache",  # which must be ignored
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_odd_environments_change_nothing(folder, environment):
    before = names_in(".")
    setting = ENVIRONMENTS[environment].format(cache=os.environ["XDG_CACHE_HOME"])
    keep = f"PYTHONPATH='{os.environ.get('PYTHONPATH', '')}'"
    # An encoding and a width touch all that is printed; a cache or a home does not.
    ways = [way for name, way in WAYS.items() if environment in PRINTED or name in FEW]
    lines = [f"env {setting} {keep} {sys.executable} -m convcli {argv}" for argv, _ in ways]
    for (_, status), done in zip(ways, at_once(shell, lines), strict=True):
        assert (done.returncode, "Traceback" in done.stderr) == (status, False)
        assert "\x1b" not in done.stdout + done.stderr
    assert set(names_in(".")) - set(before) <= {"a.blur.png", "out"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("stream", ["2>/dev/full", "2>&-", "</dev/null", "<&-", "2>&1 | head -c 1"])
def test_the_work_is_done_whatever_becomes_of_what_is_said(folder, stream):
    # Few commands look at standard input.
    ways = [way for name, way in WAYS.items() if not stream.startswith("<") or name in FEW]
    lines = [
        f"{{ convcli {argv}; echo $? >status{number}; }} {stream}"
        for number, (argv, _) in enumerate(ways)
    ]
    for number, done in enumerate(at_once(shell, lines)):
        argv, status = ways[number]
        assert "Traceback" not in done.stderr
        if "head" in stream and argv.split()[-1] in ("--json", "sobel", "--help", "-n", "-f"):
            continue  # its standard output has no reader either
        assert Path(f"status{number}").read_text() == f"{status}\n"
    assert Path("a.blur.png").exists()
    assert len(names_in("out")) == 6


def test_a_folder_that_is_gone_is_one_line(folder):
    for argv, status in (("blur --sigma 1 a.png", 1), ("blur --sigma 1 -n a.png", 1),
                         ("kernel sobel", 0), ("--version", 0)):  # fmt: skip
        done = shell(f"mkdir gone; cd gone; rmdir ../gone; convcli {argv}")
        assert done.returncode == status
        assert done.stderr.count("\n") == bool(status)


def test_a_closed_stream_is_not_given_to_a_picture(folder):
    """Otherwise the image would be descriptor 2, and messages of C libraries would end up in it."""
    for streams in ("2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
        patch = (
            "import os, convcli.files.writing as writing\n"
            "fsync = os.fsync\n"
            "os.fsync = lambda file: (os.write(2, b'chatter'), fsync(file))\n"
        )
        code = RUN.replace("{patch}", patch)
        shell(f"'{sys.executable}' -c \"$CODE\" {' '.join(BLUR)} a.png -f {streams}",
              env=os.environ | {"CODE": code})  # fmt: skip
        assert b"chatter" not in Path("a.blur.png").read_bytes()


CHATTER = """
import os
import convcli.batch.run as batch
outcome = batch.outcome_of
batch.outcome_of = lambda *a: (os.write(2, b"TIFFFillStrip: Read error\\n"), outcome(*a))[1]
"""


@pytest.mark.parametrize("debug", [False, True])
def test_what_c_libraries_say_is_shown_with_debug_alone(folder, debug):
    argv = (*BLUR, "-r", "in", "-o", "out", *(["--debug"] if debug else []))
    status, _, said = ended(start(*argv, patch=CHATTER))
    assert (status, said.count("TIFFFillStrip")) == (0, 6 if debug else 0)
    assert said.endswith("6 written, 0 failed, 0 skipped\n")


@pytest.mark.parametrize("settings", [{"COLUMNS": "1"}, {"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_a_bar_on_an_odd_terminal(folder, settings):
    ours, theirs = pty.openpty()
    patch = "import convcli.cli.screen.progress as p; p._PATIENCE_SECONDS = 0"
    env = os.environ | {"TERM": "xterm", "COLUMNS": "80"} | settings
    process = start(*BLUR, "-r", "in", "-o", "out", "in/x", patch=patch, stderr=theirs, env=env)
    os.close(theirs)
    shown = seen(ours)
    assert ended(process)[0] == 1
    assert b"Traceback" not in shown
    assert b"6 written, 1 failed, 0 skipped" in shown
    if "NO_COLOR" in settings:
        assert b"\x1b[3" not in shown
    if "TERM" in settings:
        assert b"\x1b" not in shown
