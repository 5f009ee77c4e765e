"""Kernels that are typed or read from a file, including malformed and malicious ones."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import struct
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from convcli import ConvcliError
from convcli.kernels import files
from convcli.kernels.files import SUFFIXES, read_kernel, save_kernel
from convcli.kernels.kernel import kernel_from
from convcli.kernels.named import NAMED, log_kernel

TWO_ROWS = [[1.0, -2.5, 0.0], [0.001, 4.0, -1.0]]


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def npy_claiming(shape, descr="<f8", data=b""):
    """Return a .npy file with any header, which may be wrong."""
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


# --- typed


@pytest.mark.parametrize(
    "text",
    [
        "1 -2.5 0; 0.001 4 -1",
        "1,-2.5,0;0.001,4,-1",
        "1, -2.5, 0; 0.001, 4, -1",
        "1\t-2.5\t0;1e-3\t4\t-1",
        "  +1  -25e-1  .0 ;\n 1E-3 4. -1 ;  ",
        "1 -2.5 0\n0.001 4 -1\n",
        "1,-2.5,0,;0.001,4,-1,",
    ],
)
def test_rows_may_be_typed_in_many_ways(text):
    np.testing.assert_array_equal(read_kernel(text).weights, TWO_ROWS)


@pytest.mark.parametrize(
    ("text", "weights"), [("3", [[3]]), ("-1 0 1", [[-1, 0, 1]]), ("1;2;3", [[1], [2], [3]])]
)
def test_one_number_one_row_and_one_column(text, weights):
    np.testing.assert_array_equal(read_kernel(text).weights, weights)


@pytest.mark.parametrize("name", NAMED)
def test_a_name_is_no_file(name, tmp_path, monkeypatch):
    (tmp_path / name).write_text("7")
    monkeypatch.chdir(tmp_path)
    assert read_kernel(name).name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2; 3", "row 2 has 1 number, row 1 has 2"),
        ("1 2; 3 x", "row 2, column 2 is 'x'"),
        ("1,,2", "row 1, column 2 is ''"),
        ("1 2;; 3 4", "row 2, column 1 is ''"),
        ("1 nan", "row 1, column 2 is nan"),
        ("1e999", "row 1, column 1 is inf"),
        ("1 1j", "row 1, column 2 is '1j'"),
        ("photo.png", "'photo.png' is not a kernel"),
        ("2024.jpg", "'2024.jpg' is not a kernel"),
        ("", "'' is not a kernel"),
        (" ; ", "is not a kernel"),
        (
            "gauss",
            "'gauss' is not a kernel; did you mean 'gaussian'",
        ),
        ("sobel-x", "'sobel-x' is not a kernel; did you mean 'sobel'"),
        ("Sobol:3", "'Sobol:3' is not a kernel; did you mean 'sobel'"),
        ("gausian:3", "'gausian:3' is not a kernel; did you mean 'gaussian:3'"),
        ("Disc:6", "'Disc:6' is not a kernel; did you mean 'disc:6'"),
        ("magic", "'magic' is not a kernel; use a name such as .*, a file .* or rows of numbers"),
        ("\x1b[2J", r"'\\x1b\[2J' is not a kernel"),
        ("1 \x1b[2J", r"column 2 is '\\x1b\[2J'"),
    ],
)
def test_what_makes_no_kernel_is_refused(text, message):
    with pytest.raises(ConvcliError, match=message) as caught:
        read_kernel(text)
    assert str(caught.value).isprintable()


# --- .csv and .txt


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".CSV"])
@pytest.mark.parametrize(
    "content",
    [
        "1,-2.5,0\n0.001,4,-1\n",
        "1 -2.5 0\n0.001 4 -1",
        "1\t-2.5\t0\n0.001\t4\t-1\n",
        "1;-2.5;0\n0.001; 4; -1\n",
        "\ufeff1,-2.5,0\r\n0.001,4,-1\r\n",
        "1,-2.5,0\r\n0.001,4,-1\r\n".encode("utf-16"),
        "# sharpen\n\n1,-2.5,0  # first\n   \n0.001,4,-1\n# end",
        "1,-2.5,0,,,\n0.001,4,-1,\n",
        "  1, -2.5 ,0\n 1e-3 ,4 ,-1\n",
    ],
    ids=[
        "commas",
        "spaces",
        "tabs",
        "semicolons",
        "BOM CRLF",
        "UTF-16",
        "comments",
        "trailing",
        "padded",
    ],
)
def test_text_files_of_many_habits(tmp_path, suffix, content):
    kernel = read_kernel(written(tmp_path, f"kernel{suffix}", content))
    np.testing.assert_array_equal(kernel.weights, TWO_ROWS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,2\n3\n", "row 2 has 1 number, row 1 has 2"),
        ("1,2\n# note\n3,four\n", "row 2, column 2 is 'four'"),
        ("1,nan\n", "row 1, column 2 is nan"),
        ("1,2\n1e999,3\n", "row 2, column 1 is inf"),
        ("", "is empty"),
        ("# only a comment\n\n", "is empty"),
        ("1,,2\n3,4,\n", "row 1, column 2 is ''"),
        (",1\n2,3\n", "row 1, column 1 is ''"),
        ("0,5;1,5\n", "row 1, column 1 is '0,5'"),  # not four numbers
        ("1 0 -1; 2 0 -2\n", "row 1, column 1 is '1 0 -1'"),  # not one row of six
        ("1 2\x00\n", r"column 2 is '2\\x00'"),
        (b"\xff\xfe1\x00,", "not a text file of numbers"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not a text file of numbers"),
    ],
)
def test_text_files_that_hold_no_kernel(tmp_path, content, message):
    path = written(tmp_path, "odd.csv", content)
    with pytest.raises(ConvcliError, match=message) as caught:
        read_kernel(path)
    assert path in str(caught.value)


def test_what_may_have_no_end_is_not_read(tmp_path):
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("zero.csv", "pipe.csv"):
        with pytest.raises(ConvcliError, match="is a pipe or a device; use a regular file"):
            read_kernel(str(tmp_path / name))


# --- .json


def test_json_is_a_list_of_rows(tmp_path):
    path = written(tmp_path, "kernel.json", json.dumps(TWO_ROWS))
    np.testing.assert_array_equal(read_kernel(path).weights, TWO_ROWS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not valid JSON"),
        ("[[1, 2]", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        (f"[[1{'0' * 5000}]]", "not valid JSON"),  # beyond Python's limit on digits
        (f"[[1{'0' * 400}]]", "contains a number that is too large"),
        ("[[1, 2], [3]]", "row 2 has 1 number, row 1 has 2"),
        ("[[NaN]]", "row 1, column 1 is nan"),
        ("[[1, 1e999]]", "row 1, column 2 is inf"),
        ("[[1e308, 1e308]]", "too large"),
        ('[["1"]]', "not a number"),
        ("[[true]]", "not a number"),
        ("[[null]]", "not a number"),
        ("[[[1]]]", "not a number"),
        ("[" * 500 + "1" + "]" * 500, "not a number"),
        ("[1, 2]", "must be a list of rows"),
        ("[]", "must be a list of rows"),
        ('{"weights": [[1]]}', "must be a list of rows"),
        ("[[]]", r"shape \(1, 0\)"),
    ],
    ids=itertools.count(),
)
def test_json_that_holds_no_kernel(tmp_path, content, message):
    with pytest.raises(ConvcliError, match=message):
        read_kernel(written(tmp_path, "odd.json", content))


# --- .npy


@pytest.mark.parametrize("dtype", ["?", "i1", "<i4", ">i8", "u2", "f2", "<f4", ">f8", "g"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_every_real_dtype(tmp_path, dtype, order):
    weights = np.array([[1, 0, 1], [0, 0, 1]], dtype=dtype, order=order)
    np.save(tmp_path / "kernel.npy", weights)
    kernel = read_kernel(str(tmp_path / "kernel.npy"))
    assert type(kernel.weights) is np.ndarray
    assert kernel.weights.dtype == np.float64
    np.testing.assert_array_equal(kernel.weights, [[1, 0, 1], [0, 0, 1]])


class Canary:
    """Unpickling one sings."""

    sang = False

    def __reduce__(self):
        return setattr, (Canary, "sang", True)


def saved(array, save=np.save):
    def write(path):
        with path.open("wb") as file:
            save(file, array)

    return write


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (saved(np.array([[Canary()]], dtype=object)), "pickled objects are not read"),
        (pickle.dumps(Canary()), "pickled objects are not read"),
        (pickle.dumps(TWO_ROWS), "pickled objects are not read"),
        (npy_claiming((1, 1), "|O", pickle.dumps(Canary())), "pickled objects are not read"),
        (saved(np.ones((2, 2)), np.savez), "archives and pickled objects are not read"),
        (b"PK\x03\x04 cut off", "not a .npy file"),
        (b"", "not a .npy file"),
        (b"1,2,3\n", "not a .npy file"),
        (npy_claiming((10**6, 10**6)), "not a .npy file"),
        (npy_claiming((2**62, 4)), "not a .npy file"),
        (npy_claiming((3, 3), data=b"\0" * 71), "not a .npy file"),
        (npy_claiming((-1, -1), data=b"\0" * 8), "not a .npy file"),
        (npy_claiming("(1, __import__('os'))"), "not a .npy file"),
        (npy_claiming((10**9, 10**9), "|S0"), "dtype |S0; real numbers"),
        (saved(np.float64(3)), r"shape \(\); rows and columns"),
        (saved(np.ones(3)), r"shape \(3,\)"),
        (saved(np.ones((2, 2, 2))), r"shape \(2, 2, 2\)"),
        (saved(np.ones((0, 3))), r"shape \(0, 3\)"),
        (saved(np.ones((2, 2), complex)), "complex128; real numbers"),
        (saved(np.ones((2, 2), [("weight", float)])), "real numbers"),
        (saved(np.array([["1"]])), "real numbers"),
        (saved(np.array([[0, 1]], "M8[s]")), "real numbers"),
        (saved(np.array([[1, np.nan]])), "row 1, column 2 is nan"),
        (saved(np.array([[1e308, 1e308]])), "too large"),
    ],
    ids=itertools.count(),
)
def test_npy_that_holds_no_kernel(tmp_path, content, message):
    path = tmp_path / "odd.npy"
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)
    with pytest.raises(ConvcliError, match=message):
        read_kernel(str(path))
    assert not Canary.sang


def test_the_canary_would_sing():
    try:
        pickle.loads(pickle.dumps(Canary()))
        assert Canary.sang
    finally:
        Canary.sang = False


def test_a_header_that_lies_allocates_nothing(tmp_path):
    path = written(tmp_path, "lie.npy", npy_claiming((10**6, 10**6), data=b"\0" * 8))
    assert len((tmp_path / "lie.npy").read_bytes()) == 136
    tracemalloc.start()
    try:
        with pytest.raises(ConvcliError):
            read_kernel(path)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_a_sparse_file_of_half_a_gigabyte_is_not_read(tmp_path):
    for suffix in SUFFIXES:
        path = tmp_path / f"huge{suffix}"
        with path.open("wb") as file:
            file.truncate(500_000_000)
        with pytest.raises(ConvcliError, match="larger than"):
            read_kernel(str(path))


# --- files that cannot be read


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_file_and_a_folder_say_what_they_are(tmp_path, suffix):
    with pytest.raises(ConvcliError, match="No such file"):
        read_kernel(str(tmp_path / f"missing{suffix}"))
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(ConvcliError, match="Is a directory"):
        read_kernel(str(tmp_path / f"folder{suffix}"))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["\x1b[2J", "two\nlines", "\udcff", "it's"])
def test_a_files_name_cannot_move_a_cursor(tmp_path, monkeypatch, suffix, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConvcliError) as caught:
        read_kernel(name + suffix)
    assert str(caught.value).isprintable()
    content = TWO_ROWS if suffix == ".json" else "1 2\n3 4"
    (tmp_path / (name + suffix)).write_text(str(content))
    if suffix == ".npy":
        with (tmp_path / (name + suffix)).open("wb") as file:
            np.save(file, np.ones((2, 2)))
    assert read_kernel(name + suffix).name.isprintable()


# --- saving

finite = st.floats(-1e12, 1e12)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".NPY"])
@given(weights=arrays(float, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=finite))
def test_what_was_saved_reads_back_the_same(suffix, weights):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"kernel{suffix}"
        save_kernel(kernel_from(weights), path)
        np.testing.assert_array_equal(read_kernel(str(path)).weights, weights)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_factored_kernels_and_hard_numbers_survive(tmp_path, suffix):
    kernels = [log_kernel(0.7), kernel_from([[5e-324, -0.0, 0.1], [1 / 3, 1e29, 2**53 + 1.0]])]
    for number, kernel in enumerate(kernels):
        path = tmp_path / f"{number}{suffix}"
        save_kernel(kernel, path)
        again = read_kernel(str(path)).weights
        np.testing.assert_array_equal(again, kernel.weights)
        np.testing.assert_array_equal(np.signbit(again), np.signbit(kernel.weights))


def test_a_file_is_not_overwritten(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("7\n")
    with pytest.raises(FileExistsError):
        save_kernel(kernel_from([[1]]), path)
    assert path.read_text() == "7\n"
    assert [file.name for file in tmp_path.iterdir()] == ["mine.csv"]


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(ConvcliError, match=r"can be saved as .npy, .csv, .txt or .json"):
        save_kernel(kernel_from([[1]]), tmp_path / "kernel.png")
    assert not list(tmp_path.iterdir())


MANY = {
    "a.txt": b"0 " * 4_200_000,
    "b.txt": b"0\n" * 4_200_000,
    "c.txt": b"\n" * 9_000_000,
    "d.csv": b"," * 9_000_000,
    "e.csv": b"0,1;" * 4_200_000,
    "f.json": b"[[" + b"0," * 4_200_000 + b"0]]",
    "g.json": b"[" + b"[]," * 4_200_000 + b"[]]",
}


@pytest.mark.parametrize("name", MANY)
def test_text_of_many_numbers_is_refused_before_it_becomes_numbers(tmp_path, name):
    path = written(tmp_path, name, MANY[name])
    tracemalloc.start()
    with pytest.raises(ConvcliError, match=r"more than 4194304 numbers, .*save it as \.npy"):
        read_kernel(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * len(MANY[name])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_too_large_is_not_read(tmp_path, suffix):
    path = tmp_path / f"large{suffix}"
    with path.open("wb") as file:
        file.truncate(420_000_000 if suffix == ".npy" else 120_000_000)
    tracemalloc.start()
    with pytest.raises(ConvcliError, match="is larger than the limit of"):
        read_kernel(str(path))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_device_without_an_end_is_not_read(tmp_path, suffix):
    path = tmp_path / f"zero{suffix}"
    path.symlink_to("/dev/zero")
    with pytest.raises(ConvcliError, match="is a pipe or a device"):
        read_kernel(str(path))


def test_what_is_saved_can_be_read_again(tmp_path, monkeypatch):
    """The largest kernel in text, and no larger one."""
    assert files.MOST_WRITTEN * len("-1.2345678901234567e-100, ") <= files._MOST_TEXT
    monkeypatch.setattr(files, "MOST_WRITTEN", 64 * 64)
    kernel = kernel_from(np.full((64, 64), -1.2345678901234567e-100))
    for name in ("a.json", "a.csv", "a.txt"):
        save_kernel(kernel, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 64 * 64 * 24
        assert read_kernel(str(tmp_path / name)).shape == (64, 64)
    with pytest.raises(ConvcliError, match="4160 weights are too many for text"):
        save_kernel(kernel_from(np.ones((65, 64))), tmp_path / "b.csv")
    assert not (tmp_path / "b.csv").exists()
