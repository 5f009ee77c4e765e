"""Words that the command line and the Python interface share: choices, numbers, times.

This module imports no other package, so ``convcli --help`` can list every choice without numpy.
"""

from collections.abc import Iterable
from typing import Literal, get_args

Method = Literal["auto", "numpy", "numba", "fft", "tiled"]
Border = Literal["reflect", "mirror", "nearest", "wrap", "constant"]
BankMethod = Literal["auto", "definition", "direct", "im2col", "winograd", "winograd_4x4", "fft"]
Depth = Literal["8", "16", "float32"]
MapDepth = Literal["8", "float32"]
Alpha = Literal["weight", "straight", "keep"]
Nan = Literal["keep", "skip"]
Operator = Literal["sobel", "scharr", "prewitt"]
Show = Literal["magnitude", "x", "y", "angle", "laplacian"]

METHODS: tuple[Method, ...] = get_args(Method)
BORDERS: tuple[Border, ...] = get_args(Border)
ALPHAS: tuple[Alpha, ...] = get_args(Alpha)
NANS: tuple[Nan, ...] = get_args(Nan)
OPERATORS: tuple[Operator, ...] = get_args(Operator)
SHOWS: tuple[Show, ...] = get_args(Show)


def listed(words: tuple[str, ...]) -> str:
    """Return the words of a list for a sentence.

    >>> listed(("sobel", "scharr", "prewitt"))
    'sobel, scharr or prewitt'
    """
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that is most like another, or nothing if none is.

    >>> nearest("Refelct", ("reflect", "mirror")), nearest("huge", ("reflect", "mirror"))
    ('reflect', '')
    """
    from difflib import get_close_matches  # takes 2 ms to import

    return next(iter(get_close_matches(word.lower(), [*known], n=1)), "")


def suggested(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that suggests the known word that is most like another.

    >>> suggested("Refelct", ("reflect", "mirror")), suggested("huge", ("reflect", "mirror"))
    ("; did you mean 'reflect'?", '')
    """
    near = nearest(word, known)
    return f"; did you mean {near!r}?" if near else ""


def counted(number: int, noun: str) -> str:
    """Return a number of things.

    >>> counted(1, "channel"), counted(3, "channel")
    ('1 channel', '3 channels')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def digits(number: float) -> str:
    """Return a number with three significant digits; large numbers keep all.

    >>> digits(0.12345), digits(217.0), digits(65535)
    ('0.123', '217', '65,535')
    """
    return f"{number:,.0f}" if number >= 999.5 else f"{number:.3g}"


def ratio(number: float) -> str:
    """Return a ratio with two significant digits.

    >>> ratio(0.614), ratio(1234)
    ('0.61', '1,200')
    """
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


def duration(seconds: float) -> str:
    """Return a time with three significant digits, in ASCII.

    >>> duration(0.0123456), duration(2.5e-6), duration(5551.2)
    ('12.3 ms', '2.5 us', '5551 s')
    """
    if seconds >= 999.5:
        return f"{seconds:.0f} s"
    # Rounded before the unit is chosen, because 999.9 ms is 1 s.
    rounded = float(f"{seconds:.3g}")
    if rounded >= 1:
        return f"{rounded:.3g} s"
    return f"{rounded * 1e3:.3g} ms" if rounded >= 1e-3 else f"{rounded * 1e6:.3g} us"


def size_of(count: float) -> str:
    """Return a number of bytes with a unit.

    >>> size_of(1.5e9), size_of(212e6), size_of(4096)
    ('1.5 GB', '212 MB', '4.1 kB')
    """
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return (
        f"{count / 1e6:.{0 if count >= 1e7 else 1}f} MB"
        if count >= 1e6
        else f"{count / 1e3:.1f} kB"
    )


_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def bytes_in(text: str) -> int | None:
    """Return the bytes that a text such as "2G" or "500M" stands for, or None if it is none.

    >>> bytes_in("2G"), bytes_in("1.5k"), bytes_in("a lot")
    (2147483648, 1536, None)
    """
    number, unit = text[:-1], text[-1:].upper()
    if unit.isdigit():
        number, unit = text, ""
    try:
        count = float(number) * _UNITS[unit]
    except (KeyError, ValueError):
        return None
    return int(count) if 1 <= count < 1 << 62 else None


def listed_all(words: list[str]) -> str:
    """Join words in a sentence: "a, b and c"."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


UTF16 = b"\xff\xfe"
"""The byte order mark of UTF-16, in which PowerShell 5 writes text."""


def text_in(content: bytes) -> str:
    r"""Decode UTF-8, or UTF-16 with a byte order mark; UTF-8 may have one, too.

    >>> text_in(b"\xef\xbb\xbfblur"), text_in("blur".encode("utf-16"))
    ('blur', 'blur')
    """
    return content.decode("utf-16" if content.startswith(UTF16) else "utf-8-sig")
