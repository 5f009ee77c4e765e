"""Machine code is kept, checked before it is used, and compiled again where a check fails."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from convcli import ownership
from convcli.errors import ConvcliError
from convcli.loops.compiled import (
    bank_loops,
    bank_weights,
    calling,
    compiling,
    inner_loops,
    machine_code,
    mapping,
    missing_loops,
    row_loops,
    winograd_loops,
)

# The arguments of `thin`, the loop that compiles fastest.
SIGNATURE = (
    ("uint8", 1), ("int64", 0), ("int64", 1), ("float32", 2), ("int64", 0), ("int64", 0),
    ("int64", 0), ("float32", 2),
)  # fmt: skip

LOG = (
    "import logging\n"
    "logging.basicConfig(level=logging.DEBUG, format='%(name)s %(message)s')\n"
    "logging.getLogger('numba').setLevel(logging.ERROR)\n"
)
RUN = LOG + (
    "import sys, numpy, convcli\n"
    "print(convcli.convolve(numpy.full((3, 3), 7, 'uint8'), [[1, 2]], method='numba').max(),"
    "'numba' in sys.modules)"
)
BANKS = (
    "import numpy, convcli\n"
    "for dtype in ('float32', 'float64'):\n"
    "    x = numpy.zeros((2, 9, 9), dtype)\n"
    "    convcli.conv2d(x, numpy.ones((2, 2, 3, 3)), method='direct')\n"
    "    convcli.conv2d(x, numpy.ones((1, 2, 3, 3)), method='winograd')\n"
)
EVERY_LOOP = LOG + (
    "import numpy, convcli\n"
    "grey = numpy.zeros((200, 300), 'uint8')\n"
    "for image in (grey, grey.astype('uint16'), grey.astype('float32'), grey / 255):\n"
    "    for sigma in (1, 12):\n"
    "        convcli.blur(image, sigma, method='numba')\n"
    "    convcli.edge(image, method='numba')\n"
    "    convcli.edge(image, sigma=1, method='numba')\n"
    "    convcli.convolve(image, numpy.random.random((4, 4)), method='numba')\n"
    "    convcli.convolve(image, numpy.diag([1, 2, 3]), method='numba')\n"
    "convcli.blur(numpy.full((9, 9), numpy.nan), 1, method='numba', nan='skip')\n" + BANKS
)


def python(code, base):
    """Run Python in a new process, with a folder for caches; return what it prints, and its log."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XDG_CACHE_HOME": str(base)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split(), done.stderr


def kept(base):
    return list((base / "convcli").iterdir())


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A folder for caches after a first run, what this printed, and its log."""
    base = tmp_path_factory.mktemp("cache")
    return base, *python(RUN, base)


@pytest.fixture
def cache(first, tmp_path, monkeypatch):
    """A copy of the folder after the first run, which this process uses for caches."""
    shutil.copytree(first[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def path(cache):
    """The only object in the folder."""
    (path,) = kept(cache)
    return path


@pytest.mark.slow
def test_every_loop_is_kept():
    """Code that calls the interpreter or numba's runtime cannot be kept.

    Loops that an earlier test has compiled are not compiled again.
    """
    cache = Path(os.environ["XDG_CACHE_HOME"])
    _, log = python(EVERY_LOOP, cache)
    assert "itself" not in log
    homes = inner_loops, row_loops, bank_loops, bank_weights, winograd_loops, missing_loops
    names_of = {name: each for home in homes for name, each in vars(home).items()}
    loops = {name: loop for name, loop in names_of.items() if hasattr(loop, "py_func")}
    names = {path.name.split("-")[1] for path in kept(cache)}
    # The others are parts of these.
    assert names == {
        name for name, loop in loops.items() if not loop.targetoptions.get("no_cpython_wrapper")
    }
    if sys.platform == "linux" and platform.machine() == "x86_64":
        # Those of banks are mapped. What calls the C library (as for filling with 0) would be
        # linked by LLVM, which aborts where the library is far away.
        printed, _ = python(BANKS + "import sys; print('llvmlite' in sys.modules)", cache)
        assert printed == ["False"]


def test_the_second_run_does_without_numba(first, cache):
    base, printed, log = first
    assert printed == ["21", "True"]
    assert "compiling the loops" in log
    assert len(kept(base)) == 1
    assert python(RUN, cache) == (["21", "False"], "")


@pytest.mark.slow
def test_two_runs_at_once_keep_one_whole_object(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        for printed, log in pool.map(python, [RUN] * 2, [tmp_path] * 2):
            assert (printed[0], "itself" in log) == ("21", False)
    assert len(kept(tmp_path)) == 1
    assert python(RUN, tmp_path)[0] == ["21", "False"]


@pytest.mark.slow
def test_a_second_run_of_the_program_finds_what_the_first_compiled(
    tmp_path, monkeypatch, program, picture_file
):
    """It is kept under the dtype that the loop gets: linear light is a float.

    test_the_loop_that_is_asked_for_is_the_one_that_runs tests the other dtypes.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    image = str(picture_file("a.png", np.full((40, 50), 7, np.uint16)))
    command = ["blur", image, "--sigma", "1", "-m", "numba", "--linear", "--explain", "-f"]
    first, second = program(*command), program(*command)
    assert (first.status, second.status) == (0, 0)
    assert "compiled first" in first.err
    assert "compiled first" not in second.err


def test_a_whole_object_is_loaded(path):
    assert mapping.load(path)


@pytest.mark.parametrize("damage", [b"", b"\x7fELF half", b"x" * 5000], ids=len)
def test_a_damaged_object_is_refused(damage, path):
    path.write_bytes(damage)
    assert mapping.load(path) is None


@pytest.mark.parametrize("where", [0, -100, -1])
def test_one_flipped_bit_is_noticed(where, path):
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(bytes(content))
    assert mapping.load(path) is None


def test_a_link_in_place_of_an_object_is_not_followed(path, cache):
    elsewhere = cache / "elsewhere.o"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert mapping.load(path) is None


def test_what_is_refused_is_compiled_again_for_its_owner_alone(path, cache):
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o666)  # another user may have written to it
    assert mapping.load(path) is None
    assert python(RUN, cache)[0] == ["21", "True"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert python(RUN, cache)[0] == ["21", "False"]


def test_a_folder_that_others_can_write_to_is_not_used(path):
    assert machine_code._path("thin", SIGNATURE).parent == path.parent
    path.parent.chmod(0o777)
    assert machine_code._path("thin", SIGNATURE) is None
    assert not machine_code.is_kept("correlate", "uint8")


def test_somebody_elses_folder_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert machine_code._folder(make=True) == machine_code._folder() == tmp_path / "convcli"
    status = (tmp_path / "convcli").stat()
    other = os.stat_result((*status[:4], os.geteuid() + 1, *status[5:]))
    assert mapping.is_private(status)
    assert not mapping.is_private(other)
    monkeypatch.setattr(mapping, "is_private", lambda _: False)
    assert machine_code._folder() is None


def test_code_that_root_has_kept_is_loaded_and_not_added_to(cache, monkeypatch):
    """As in a container, which any user may run."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(ownership, "_problem", lambda *_: "")
    status = (cache / "convcli").stat()
    assert mapping.is_private(os.stat_result((*status[:4], 0, *status[5:])))
    assert not machine_code.can_be_kept()


def test_a_processor_that_is_named_with_its_features_is_all_that_counts(monkeypatch):
    """So that code which is compiled into a container fits wherever it runs."""
    monkeypatch.setenv("NUMBA_CPU_NAME", "x86-64-v3")
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+avx2,+fma")
    machine_code._processor.cache_clear()
    try:
        assert "model name" not in machine_code._processor()
        assert compiling.target() == ("x86-64-v3", "+avx2,+fma")
    finally:
        machine_code._processor.cache_clear()


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_folder_above_that_others_can_write_to_is_not_used(path, cache, mode, monkeypatch):
    """They could put another folder in its place."""
    (cache / "above").mkdir()
    base = cache / "above" / "base"
    base.mkdir()
    (cache / "convcli").rename(base / "convcli")
    monkeypatch.setenv("XDG_CACHE_HOME", str(base))
    assert machine_code._folder() == base / "convcli"
    assert machine_code.is_any_kept()
    assert machine_code.can_be_kept()
    (cache / "above").chmod(mode)
    machine_code._listed.cache_clear()  # as in another run
    assert machine_code._folder(make=True) is machine_code._folder() is None
    assert not machine_code.is_any_kept()
    assert not machine_code.can_be_kept()
    assert machine_code._why_not_kept() == f"other users can write to {str(cache / 'above')!r}"


def test_a_link_to_a_folder_is_followed_to_where_it_leads(cache, monkeypatch):
    (cache / "linked").symlink_to(cache)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "linked"))
    assert machine_code.is_any_kept()
    cache.chmod(0o777)
    machine_code._listed.cache_clear()  # as in another run
    assert not machine_code.is_any_kept()


def test_why_nothing_is_kept_is_in_the_log(cache, monkeypatch, caplog):
    cache.chmod(0o777)
    machine_code._say_why_it_takes_long.cache_clear()
    caplog.set_level("INFO", "convcli")
    assert_thin_computes()
    assert f"in every run: other users can write to {str(cache)!r})" in caplog.text


def test_no_place_to_keep_it_is_no_error(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "convcli").write_text("a file where the folder would be")
    caplog.set_level("DEBUG", "convcli")
    assert_thin_computes()
    assert "itself" not in caplog.text
    assert len(list(tmp_path.iterdir())) == 1


def test_another_processor_is_another_object(cache, monkeypatch):
    here = machine_code._path("thin", SIGNATURE)
    monkeypatch.setenv("NUMBA_CPU_NAME", "x86-64")
    machine_code._processor.cache_clear()
    try:
        assert machine_code._path("thin", SIGNATURE) != here
    finally:
        machine_code._processor.cache_clear()


def test_what_is_kept_is_known_by_name_and_dtype(cache, monkeypatch):
    assert machine_code.is_kept("correlate", "uint8")
    assert not machine_code.is_kept("correlate", "uint16")
    assert not machine_code.is_kept("separable", "uint8")
    assert machine_code.can_be_kept()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "new"))
    assert not machine_code.is_kept("correlate", "uint8")
    assert machine_code.can_be_kept()
    assert not (cache / "new").exists()
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept(cache)[0]))
    assert not machine_code.is_kept("correlate", "uint8")
    assert not machine_code.can_be_kept()


def test_what_another_run_keeps_meanwhile_is_found(cache):
    assert not machine_code.is_kept("correlate", "uint16")
    one = next(path for path in (cache / "convcli").iterdir() if "correlate-uint8-" in path.name)
    one.with_name(one.name.replace("-uint8-", "-uint16-")).write_bytes(b"")
    assert machine_code.is_kept("correlate", "uint16")


@pytest.mark.parametrize("has_numba", [False, True])
def test_a_loop_that_is_not_kept_for_these_results_is_refused_where_memory_is_short(
    cache, monkeypatch, has_numba
):
    """LLVM aborts the process where it finds no memory."""
    monkeypatch.setattr(machine_code, "lacks_memory", lambda: True)
    monkeypatch.delitem(sys.modules, machine_code._COMPILER, raising=False)
    if has_numba:
        monkeypatch.setitem(sys.modules, "numba", SimpleNamespace())
    else:
        monkeypatch.delitem(sys.modules, "numba", raising=False)
    other = (*SIGNATURE[:-1], ("float64", 2))
    with pytest.raises(ConvcliError, match=r"needs about 600 MB .*; use --method numpy or fft"):
        machine_code._prepared("thin", other)


def test_a_strided_array_is_refused():
    call = calling.caller(0, SIGNATURE)
    table = np.zeros((4, 4), np.float32)
    arguments = [np.zeros(80, np.uint8)[::2], 1, np.zeros(8, int), table, 5, 0, 3]
    with pytest.raises(ValueError, match="C-contiguous"):
        call(*arguments, np.zeros((4, 5), np.float32))


def test_an_array_that_cannot_be_written_to_is_read(cache):
    thin = machine_code.function("thin")
    results = []
    for writeable in (True, False):
        source, table = np.arange(40, dtype=np.uint8), np.ones((4, 4), np.float32)
        source.flags.writeable = table.flags.writeable = writeable
        out = np.zeros((4, 5), np.float32)
        thin(source, 1, np.arange(4) * 5, table, 5, 0, 3, out)
        results.append(out)
    assert results[0].any()
    np.testing.assert_array_equal(*results)


def test_a_child_that_is_forked_while_a_loop_is_compiled_need_not_wait():
    with machine_code._lock:
        child = os.fork()
        if not child:
            os._exit(machine_code._lock.locked())
    assert os.waitpid(child, 0)[1] == 0


def assert_thin_computes():
    thin = machine_code.function("thin")
    rows = np.arange(40, dtype=np.uint8).reshape(8, 5)
    table = np.zeros((4, 4), np.float32)
    table[0] = 1, 2, 3, 4
    out = np.empty((4, 5), np.float32)
    thin(rows.reshape(-1), 1, np.arange(4) * 5, table, 5, 0, 3, out)
    np.testing.assert_array_equal(out, rows[0] * np.array([[1], [2], [3], [4]]))


@pytest.mark.parametrize(
    ("home", "broken"),
    [(compiling, "object_code"), (machine_code, "_processor"), (machine_code, "caller")],
)
def test_numba_itself_runs_where_objects_cannot_be_used(home, broken, monkeypatch, tmp_path):
    """A later numba may pass arrays in another way, or llvmlite may change."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fail(*_):
        raise NotImplementedError("arrays are passed otherwise")

    monkeypatch.setattr(home, broken, fail)
    assert_thin_computes()


def test_llvmlite_links_where_nothing_can_be_mapped(cache):
    """For example on a file system that is mounted noexec."""
    code = (
        "import mmap, sys\n"
        "def forbidden(*_, **__): raise PermissionError(1, 'not permitted')\n"
        "mmap.mmap = forbidden\n" + RUN
    )
    assert python(code, cache) == (["21", "False"], "")


@pytest.mark.skipif(sys.platform != "linux", reason="images are for Linux")
def test_nothing_but_the_file_is_loaded(cache):
    printed, _ = python(RUN.replace("'numba' in sys.modules", "'llvmlite' in sys.modules"), cache)
    assert printed == ["21", "False" if platform.machine() == "x86_64" else "True"]


def test_code_that_calls_the_interpreter_is_not_kept(monkeypatch):
    monkeypatch.setattr(inner_loops, "NO_WRAPPERS", {})
    with pytest.raises(NotImplementedError, match="calls"):
        compiling.object_code("thin", SIGNATURE)


def test_arguments_that_are_passed_otherwise_are_noticed(monkeypatch):
    monkeypatch.setattr(calling, "parameters", lambda signature: ["ptr"])
    with pytest.raises(NotImplementedError, match="numba passes"):
        compiling.object_code("thin", SIGNATURE)


def test_threads_compile_a_function_once(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls = []
    compiled = compiling.object_code
    monkeypatch.setattr(compiling, "object_code", lambda *a: calls.append(a) or compiled(*a))
    thin = machine_code.function("thin")
    table = np.zeros((4, 4), np.float32)

    def once(_):
        out = np.empty((4, 5), np.float32)
        thin(np.zeros(40, np.uint8), 1, np.arange(4) * 5, table, 5, 0, 3, out)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(once, range(8)))
    assert len(calls) == 1
