"""The words that the command line and the Python interface share, each list written once.

They cost nothing to import, so that ``convcli --help`` can name every choice without numpy.
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
