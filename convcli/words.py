"""The words that the command line and the Python interface share, each written once.

Lists of choices, and how numbers and times are said. They cost nothing to import, so that
``convcli --help`` can name every choice without numpy.
"""

from typing import Literal, get_args

Method = Literal["auto", "numpy", "numba", "fft", "tiled"]
Border = Literal["reflect", "mirror", "nearest", "wrap", "constant"]
Alpha = Literal["weight", "straight", "keep"]
Operator = Literal["sobel", "scharr", "prewitt"]
Show = Literal["magnitude", "x", "y", "angle"]

METHODS: tuple[Method, ...] = get_args(Method)
BORDERS: tuple[Border, ...] = get_args(Border)
ALPHAS: tuple[Alpha, ...] = get_args(Alpha)
OPERATORS: tuple[Operator, ...] = get_args(Operator)
SHOWS: tuple[Show, ...] = get_args(Show)


def listed(words: tuple[str, ...]) -> str:
    """Name the words of a list in a sentence: ``"a, b or c"``."""
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def digits(number: float) -> str:
    """Say a number in three digits, and a large one in all: never ``"2.2e+02"``."""
    return f"{number:,.0f}" if number >= 999.5 else f"{number:.3g}"


def ratio(number: float) -> str:
    """Say how many times as large something is, in two digits: ``"1,200"``."""
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


def duration(seconds: float) -> str:
    """Say a time in three digits, thousands of seconds in all: ``"12.3 ms"``; and in ASCII."""
    if seconds >= 999.5:
        return f"{seconds:.0f} s"
    # Rounded before its unit is chosen, for 999.9 ms are 1 s.
    rounded = float(f"{seconds:.3g}")
    if rounded >= 1:
        return f"{rounded:.3g} s"
    return f"{rounded * 1e3:.3g} ms" if rounded >= 1e-3 else f"{rounded * 1e6:.3g} us"
