"""Kernels as text: typed on the command line, or read from and saved to a file."""

from __future__ import annotations

import json
import math
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from convcli.checks import described
from convcli.errors import ConvcliError, inert, shown
from convcli.kernels.kernel import Kernel, kernel_from
from convcli.kernels.named import NAMED, named_kernel
from convcli.words import listed, nearest, text_in

SUFFIXES = (".npy", ".csv", ".txt", ".json")

# A .npy file is mapped, so its size takes no memory; `kernel_from` limits its weights to 2**24.
_MOST_BYTES = 400_000_000

# Weights in text, and their bytes: up to 24 characters each and a separator. As Python's numbers
# and words they take 30 to 60 bytes each, so that 2**24 in 400 MB would take gigabytes.
MOST_WRITTEN = 2**22
_MOST_TEXT = 110_000_000

# Numbers are ASCII. A letter of another script, as in a comment, makes Python take up to four bytes
# for each character of the text.
_MOST_COMMENTS = 10_000_000

# What separates numbers, as `str.split` and `str.splitlines` have it. Cells and lines end at some.
_SPACE = b" \t\n\v\f\r\x1c\x1d\x1e\x1f,;"
_ENDS = b"\n\v\f\r\x1c\x1d\x1e,;"


def kernel(words: str) -> Kernel:
    """Return any kernel that the command line knows, by the same words.

    Parameters
    ----------
    words : str
        A name with its numbers, such as ``"motion:25,30"`` (``convcli kernel --help`` lists them);
        a file that ends in .npy, .csv, .txt or .json; or rows of numbers, ``"1 0 -1; 2 0 -2; 1 0
        -1"``.

    Returns
    -------
    Kernel
        For `convcli.convolve`; ``numpy.asarray`` gives its weights.

    Raises
    ------
    ConvcliError
        If the words are none of these, or the numbers are not a valid kernel.

    Examples
    --------
    >>> kernel("gaussian-x:2").shape
    (17, 17)
    >>> np.asarray(kernel("1 0 -1; 2 0 -2; 1 0 -1")).sum()
    np.float64(0.0)
    """
    if not isinstance(words, str):
        raise ConvcliError(
            f"words must be a text such as 'motion:25,30', not {described(words)}; arrays are "
            "kernels as they are"
        )
    return read_kernel(words)


def read_kernel(text: str) -> Kernel:
    """Make a kernel from a name, a file name, or rows of numbers.

    Parameters
    ----------
    text : str
        ``"sobel"`` or ``"motion:15,30"``; a path that ends in .npy, .csv, .txt or .json;
        or rows of numbers, ``"1 0 -1; 2 0 -2; 1 0 -1"`` (commas may separate numbers, line
        ends may separate rows).

    Raises
    ------
    ConvcliError
        If it is none of these, or the numbers are not a valid kernel.
    """
    if text.partition(":")[0] in NAMED:
        return named_kernel(text)
    if text.lower().endswith(SUFFIXES) and "\0" not in text:
        return _read_file(Path(text))
    if re.match(r"\s*[-+.\d]", text) and not Path(text).suffix[1:].isalpha():
        rows = re.split(r"[;\n]\s*", text.rstrip("; \t\r\n"))
        return _parse_rows(rows, " ".join(text.split()))
    raise ConvcliError(f"{shown(text)} is not a kernel; {_help_for(text)}")


def _help_for(text: str) -> str:
    """Return what to type instead: the nearest name, or everything that is possible."""
    name, colon, numbers = text.partition(":")
    # "sobel-x" is nearer to sobel-y, which is the other derivative.
    stem = name.lower().partition("-")[0]
    near = stem if stem in NAMED else nearest(name, NAMED)
    if near:
        meant = f"{near}{colon}{numbers}"
        try:
            named_kernel(meant)
        except ConvcliError:
            meant = near  # it takes other numbers
        return f"did you mean {meant!r}? ('convcli kernel --help' lists all names)"
    return (
        "use a name such as gaussian:2 or sobel ('convcli kernel --help' lists all names), a file "
        f"({', '.join(SUFFIXES)}) or rows of numbers ('1 0 -1; 2 0 -2; 1 0 -1')"
    )


def save_kernel(kernel: Kernel, path: Path, overwrite: bool = False) -> None:
    """Save the weights to a .npy, .csv, .txt or .json file."""
    from convcli.files.writing import new_file

    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConvcliError(f"{shown(path)}: a kernel can be saved as {listed(SUFFIXES)}")
    weights = math.prod(kernel.shape)
    if suffix != ".npy" and weights > MOST_WRITTEN:
        raise ConvcliError(
            f"{shown(path)}: {weights} weights are too many for text (at most "
            f"{MOST_WRITTEN}); save them as .npy"
        )
    with new_file(path, overwrite) as file:
        if suffix == ".npy":
            np.save(file, kernel.weights, allow_pickle=False)
        elif suffix == ".json":
            file.write(json.dumps(kernel.weights.tolist()).encode() + b"\n")
        else:
            # repr gives the fewest digits that read back as the same float64
            rows = (",".join(map(repr, row)) for row in kernel.weights.tolist())
            file.write("".join(row + "\n" for row in rows).encode())


def _read_file(path: Path) -> Kernel:
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            # Opening a pipe may block for ever, and a device may have no end.
            raise ConvcliError(f"kernel {shown(path)}: is a pipe or a device; use a regular file")
        is_text = path.suffix.lower() != ".npy"
        most = _MOST_TEXT if is_text else _MOST_BYTES
        if status.st_size > most:
            kind, instead = ("text", "; save it as .npy") if is_text else ("a kernel", "")
            raise ConvcliError(
                f"kernel {shown(path)}: is larger than the limit of {most} bytes for {kind}"
                f"{instead}"
            )
        if not is_text:
            return _read_npy(path)
        with path.open("rb") as file:
            # Not more than its size, because a file in /proc may have no end.
            content = file.read(status.st_size + 1)
        if _is_long(content, path):
            raise ConvcliError(
                f"kernel {shown(path)}: has more than {MOST_WRITTEN} numbers, the limit for text; "
                "save it as .npy"
            )
        if len(content) > _MOST_COMMENTS and not _is_plain(content):
            raise ConvcliError(f"kernel {shown(path)}: is not a text file of numbers")
        text = text_in(content)
    except OSError as error:
        raise ConvcliError(f"kernel {shown(path)}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConvcliError(f"kernel {shown(path)}: is not a text file of numbers") from None
    if path.suffix.lower() == ".json":
        return _parse_json(text, path)
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return _parse_rows([line for line in lines if line], str(path))


def _is_plain(content: bytes) -> bool:
    """Say whether a text has nothing that takes far more memory than its numbers."""
    return content.isascii() and not any(mark in content for mark in (b"{", b'"'))


def _is_long(content: bytes, path: Path) -> bool:
    """Say whether a text has more numbers, cells or lines than the limit, before it is split."""
    if path.suffix.lower() == ".json":  # a bracket becomes a list of 56 bytes
        return max(content.count(b","), content.count(b"[")) > MOST_WRITTEN
    text = np.frombuffer(content, np.uint8)
    is_space = np.isin(np.arange(256), list(_SPACE))[text]
    words = np.count_nonzero(is_space[:-1] & ~is_space[1:])
    ends = sum(content.count(end) for end in _ENDS)
    return bool(words > MOST_WRITTEN or ends > 2 * MOST_WRITTEN)


def _read_npy(path: Path) -> Kernel:
    """Read an array without unpickling, and without trusting the size in its header."""
    try:
        # Unlike np.load it reads neither pickles nor archives; and a memory map cannot be longer
        # than the file, so a wrong size in the header allocates nothing.
        array = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    except Exception:  # numpy raises exceptions of many types for damaged headers
        raise ConvcliError(
            f"kernel {shown(path)}: is not a .npy file of plain numbers; "
            "archives and pickled objects are not read"
        ) from None
    return kernel_from(array, inert(str(path)))


def _parse_json(text: str, path: Path) -> Kernel:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise ConvcliError(f"kernel {shown(path)}: is not valid JSON") from None
    if not (isinstance(rows, list) and rows and all(isinstance(row, list) for row in rows)):
        raise ConvcliError(
            f"kernel {shown(path)}: must be a list of rows, such as [[1, 0], [0, 1]]"
        )
    if not all(type(value) in (int, float) for row in rows for value in row):
        raise ConvcliError(f"kernel {shown(path)}: contains a value that is not a number")
    _check_lengths([len(row) for row in rows], str(path))
    try:
        return kernel_from(np.array(rows, dtype=np.float64), inert(str(path)))
    except OverflowError:  # a whole number beyond the range of float64
        raise ConvcliError(f"kernel {shown(path)}: contains a number that is too large") from None


def _parse_rows(lines: list[str], name: str) -> Kernel:
    """Read rows of numbers, separated by spaces, tabs, commas or semicolons.

    An empty cell is an error, and so is a comma among semicolons: skipping the cell, or
    reading 0,5 as two numbers, would give a kernel that was not meant.
    """
    rows = [list(_numbers(line, name, number)) for number, line in enumerate(lines, 1)]
    if not rows:
        raise ConvcliError(f"kernel {shown(name)}: is empty")
    _check_lengths([len(row) for row in rows], name)
    return kernel_from(np.array(rows), inert(name))


def _numbers(line: str, name: str, row: int) -> Iterator[float]:
    separator = ";" if ";" in line else r"\s*,\s*|\s+"
    # Spreadsheets pad short rows with empty cells.
    for column, word in enumerate(re.split(separator, line.lstrip().rstrip(" \t\r,;")), 1):
        try:
            yield float(word)
        except ValueError:
            raise ConvcliError(
                f"kernel {shown(name)}: row {row}, column {column} is {word.strip()[:40]!r}; "
                "a number is needed"
            ) from None


def _check_lengths(lengths: list[int], name: str) -> None:
    for row, length in enumerate(lengths, 1):
        if length != lengths[0]:
            raise ConvcliError(
                f"kernel {shown(name)}: row {row} has {_numbered(length)}, row 1 has "
                f"{lengths[0]}; all rows must have the same length"
            )


def _numbered(length: int) -> str:
    return f"{length} number{'s' * (length != 1)}"
