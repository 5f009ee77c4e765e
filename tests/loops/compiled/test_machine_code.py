"""Machine code is kept, checked before it is used, and made anew where anything is amiss."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from convcli.loops.compiled import inner_loops, machine_code

RUN = (
    "import logging, sys, numpy, convcli;"
    "logging.basicConfig(level=logging.DEBUG, format='%(name)s %(message)s');"
    "logging.getLogger('numba').setLevel(logging.ERROR);"
    "print(convcli.convolve(numpy.full((3, 3), 7, 'uint8'), [[1, 2]], method='numba').max(),"
    "'numba' in sys.modules)"
)


def run(tmp_path, **more):
    """Filter in a fresh process; return what it printed: result, numba loaded, and the log."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), **more}
    done = subprocess.run(
        [sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split(), done.stderr


def test_every_loop_is_kept(tmp_path):
    """What calls the interpreter or numba's runtime could only be run by numba, every time."""
    code = (
        "import logging, numpy, convcli\n"
        "logging.basicConfig(level=logging.DEBUG, format='%(name)s %(message)s')\n"
        "logging.getLogger('numba').setLevel(logging.ERROR)\n"
        "grey = numpy.zeros((200, 300), 'uint8')\n"
        "for image in (grey, grey.astype('uint16'), grey.astype('float32'), grey / 255):\n"
        "    for sigma in (1, 12):\n"
        "        convcli.blur(image, sigma, method='numba')\n"
        "    convcli.edge(image, method='numba')\n"
        "    convcli.convolve(image, numpy.random.random((4, 4)), method='numba')\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "itself" not in done.stderr
    loops = [n for n in vars(inner_loops) if hasattr(vars(inner_loops)[n], "py_func")]
    names = {path.name.split("-")[1] for path in kept(tmp_path)}
    assert names == {name for name in loops if not name.startswith("_")}


def kept(tmp_path):
    return list((tmp_path / "convcli").iterdir())


def test_the_second_run_does_without_numba(tmp_path):
    first, log = run(tmp_path)
    assert first == ["21", "True"]
    assert "compiling the loops" in log
    assert len(kept(tmp_path)) == 1
    assert run(tmp_path) == (["21", "False"], "")


def test_two_runs_at_once_keep_one_whole_object(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        for printed, log in pool.map(run, [tmp_path] * 2):
            assert (printed[0], "itself" in log) == ("21", False)
    assert len(kept(tmp_path)) == 1
    assert run(tmp_path)[0] == ["21", "False"]


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (np.full((40, 50), 7, np.uint16), ["--linear"]),
        (np.full((40, 50, 3), 7, np.uint8), ["--linear", "--exact"]),
        (np.full((40, 50, 4), 7, np.uint8), ["--alpha", "weight", "--exact"]),
        (np.full((40, 50), 7, np.uint8), ["--border", "constant", "--border-value", "0.5"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_second_run_of_the_program_finds_what_the_first_compiled(
    pixels, options, tmp_path, monkeypatch, program, picture_file
):
    """Under the dtype that the loop gets: light and weighted colours are floats."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = str(picture_file("a.png", pixels))
    command = ["blur", path, "--sigma", "1", "-m", "numba", "--explain", "-f", *options]
    first, second = program(*command), program(*command)
    assert (first.status, second.status) == (0, 0)
    assert "compiled first" in first.err
    assert "compiled first" not in second.err


@pytest.mark.parametrize("damage", [b"", b"\x7fELF half", b"x" * 5000], ids=len)
def test_a_damaged_object_is_compiled_anew(damage, tmp_path):
    run(tmp_path)
    (path,) = kept(tmp_path)
    path.write_bytes(damage)
    assert run(tmp_path)[0] == ["21", "True"]
    assert run(tmp_path)[0] == ["21", "False"]


def test_one_flipped_bit_is_noticed(tmp_path):
    run(tmp_path)
    (path,) = kept(tmp_path)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(bytes(content))
    assert run(tmp_path)[0] == ["21", "True"]


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path):
    run(tmp_path)
    (tmp_path / "convcli").chmod(0o777)
    assert run(tmp_path)[0] == ["21", "True"]


def test_a_link_in_place_of_an_object_is_not_followed(tmp_path):
    run(tmp_path)
    (path,) = kept(tmp_path)
    elsewhere = tmp_path / "elsewhere.o"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert run(tmp_path)[0] == ["21", "True"]


def test_somebody_elses_folder_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert machine_code._folder(make=True) == machine_code._folder() == tmp_path / "convcli"
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert machine_code._folder() is None


def test_no_place_to_keep_it_is_no_error(tmp_path):
    (tmp_path / "convcli").write_text("a file where the folder would be")
    assert run(tmp_path)[0] == ["21", "True"]


def test_another_processor_is_another_object(tmp_path):
    run(tmp_path)
    assert run(tmp_path, NUMBA_CPU_NAME="x86-64")[0][1] == "True"
    assert len(kept(tmp_path)) == 2


def test_what_is_kept_is_known_by_name_and_dtype(tmp_path, monkeypatch):
    run(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert machine_code.is_kept("correlate", "uint8")
    assert not machine_code.is_kept("correlate", "uint16")
    assert not machine_code.is_kept("separable", "uint8")
    assert machine_code.can_be_kept()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    assert not machine_code.is_kept("correlate", "uint8")
    assert machine_code.can_be_kept()
    assert not (tmp_path / "new").exists()
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept(tmp_path)[0]))
    assert not machine_code.is_kept("correlate", "uint8")
    assert not machine_code.can_be_kept()


def test_files_are_for_their_owner_alone(tmp_path):
    run(tmp_path)
    (path,) = kept(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o666)  # somebody else may have written to it
    assert run(tmp_path)[0] == ["21", "True"]
    assert run(tmp_path)[0] == ["21", "False"]  # made anew, for its owner alone


def test_a_strided_array_is_refused():
    call = machine_code._caller(0, SIGNATURE)
    arguments = [np.zeros(80, np.uint8)[::2], 1, np.zeros(8, int), np.zeros((4, 4), np.float32), 3]
    with pytest.raises(ValueError, match="C-contiguous"):
        call(*arguments, np.zeros((4, 5), np.float32))


def test_a_child_that_is_forked_while_a_loop_is_compiled_need_not_wait():
    with machine_code._lock:
        child = os.fork()
        if not child:
            os._exit(machine_code._lock.locked())
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("broken", ["_compile", "_processor", "_caller"])
def test_numba_itself_runs_where_objects_cannot_be_used(broken, monkeypatch, tmp_path):
    """A later numba may pass arrays otherwise, or llvmlite may be another."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fail(*_):
        raise NotImplementedError("arrays are passed otherwise")

    monkeypatch.setattr(machine_code, broken, fail)
    thin = machine_code.function("thin")
    rows = np.arange(40, dtype=np.uint8).reshape(8, 5)
    table = np.zeros((4, 4), np.float32)
    table[0] = 1, 2, 3, 4
    out = np.empty((4, 5), np.float32)
    thin(rows.reshape(-1), 1, np.arange(4) * 5, table, 3, out)
    np.testing.assert_array_equal(out, rows[0] * np.array([[1], [2], [3], [4]]))


def test_llvmlite_links_where_nothing_can_be_mapped(tmp_path):
    """As on a file system that is mounted noexec."""
    run(tmp_path)
    code = (
        "import mmap, sys\n"
        "def forbidden(*_, **__): raise PermissionError(1, 'not permitted')\n"
        "mmap.mmap = forbidden\n" + RUN
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("21 False\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="images are for Linux")
def test_nothing_but_the_file_is_loaded(tmp_path):
    run(tmp_path)
    code = RUN.replace("'numba' in sys.modules", "'llvmlite' in sys.modules")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["21", "False" if platform.machine() == "x86_64" else "True"]


def test_code_that_calls_the_interpreter_is_not_kept(monkeypatch):
    monkeypatch.setattr(inner_loops, "NO_WRAPPERS", {})
    with pytest.raises(NotImplementedError, match="calls"):
        machine_code._compile("thin", SIGNATURE)


def test_arguments_that_are_passed_otherwise_are_noticed(monkeypatch):
    monkeypatch.setattr(machine_code, "_parameters", lambda signature: [("ptr", None)])
    with pytest.raises(NotImplementedError, match="numba passes"):
        machine_code._compile("thin", SIGNATURE)


SIGNATURE = (
    ("uint8", 1), ("int64", 0), ("int64", 1), ("float32", 2), ("int64", 0), ("float32", 2),
)  # fmt: skip


def test_threads_compile_a_function_once(monkeypatch, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls = []
    compiled = machine_code._compile
    monkeypatch.setattr(machine_code, "_compile", lambda *a: calls.append(a) or compiled(*a))
    thin = machine_code.function("thin")
    table = np.zeros((4, 4), np.float32)

    def once(_):
        out = np.empty((4, 5), np.float32)
        thin(np.zeros(40, np.uint8), 1, np.arange(4) * 5, table, 3, out)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(once, range(8)))
    assert len(calls) == 1
