"""Checks of arguments: numbers, words, flags. The error names the value and what is allowed.

Values of any type may come in: no check raises anything but `ConvcliError`.
"""

from __future__ import annotations

import math
import reprlib
import sys
from collections.abc import Callable
from typing import Any

from convcli.errors import ConvcliError, inert
from convcli.words import listed

# Whole numbers up to this are exact in the floats of the cost model.
_LARGEST_COUNT = 2**53


def described(value: Any) -> str:
    """Return a value for a message, on one line and not too long."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"an array of shape {shape}"
    try:
        return inert(reprlib.repr(value))
    except Exception:  # its repr may raise what it likes
        return f"a {type(value).__name__}"


def number(value: Any, name: str) -> float:
    """Return a real number as a float, which may be infinite or NaN; refuse everything else."""
    if _is_scalar(value, "buif") and not isinstance(value, (str, bytes, bytearray, complex)):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
        except Exception:  # a conversion may raise what it likes
            raise ConvcliError(f"{name} must be a number, not {described(value)}") from None
    raise ConvcliError(f"{name} must be a number, not {described(value)}")


def _is_scalar(value: Any, kinds: str) -> bool:
    """Say whether a value is no array, or one of no axes whose samples are of these kinds."""
    if not hasattr(value, "dtype"):
        return True
    kind = getattr(value.dtype, "kind", None)
    return getattr(value, "shape", None) == () and kind is not None and kind in kinds


def finite(**values: Any) -> None:
    """Raise `ConvcliError` for a value that is no number, infinite or NaN."""
    for name, value in values.items():
        if not math.isfinite(number(value, name)):
            raise ConvcliError(f"{name} must be a finite number, not {number(value, name):g}")


def at_least_0(**values: Any) -> None:
    """Raise `ConvcliError` for a value that is negative or not finite."""
    finite(**values)
    for name, value in values.items():
        if number(value, name) < 0:
            raise ConvcliError(f"{name} must be at least 0, not {number(value, name):g}")


def positive(value: Any, name: str) -> float:
    """Return a finite number above 0, or raise `ConvcliError`."""
    given = number(value, name)
    if not (math.isfinite(given) and given > 0):
        raise ConvcliError(f"{name} must be a finite number above 0, not {given:g}")
    return given


def count(value: Any, name: str, least: int = 1) -> int:
    """Return a whole number of at least `least`, or raise `ConvcliError`."""
    given = number(value, name)
    if not (math.isfinite(given) and given >= least and given == int(given)):
        raise ConvcliError(f"{name} must be a whole number of at least {least}, not {given:g}")
    if given > _LARGEST_COUNT:
        raise ConvcliError(f"{name} must be at most {_LARGEST_COUNT}, not {given:g}")
    return int(given)


def word(value: Any, name: str, words: tuple[str, ...]) -> None:
    """Raise `ConvcliError` for a value that is not one of the words."""
    if not (isinstance(value, str) and value in words):
        raise ConvcliError(f"unknown {name} {described(value)}; it must be {listed(words)}")


def flag(value: Any, name: str) -> bool:
    """Return whether something is on, or raise `ConvcliError`; 0 and 1 are taken as well."""
    is_number = isinstance(value, int) or (hasattr(value, "dtype") and _is_scalar(value, "bui"))
    if is_number and value in (0, 1):
        return bool(value)
    raise ConvcliError(f"{name} must be True or False, not {described(value)}")


def callback(value: Any, name: str) -> Callable[..., Any] | None:
    """Return a function or None, or raise `ConvcliError`."""
    if value is None or callable(value):
        return value  # type: ignore[no-any-return]
    raise ConvcliError(f"{name} must be a function or None, not {described(value)}")


def array(value: Any, name: str) -> Any:
    """Return a value as a numpy array of any dtype, or raise `ConvcliError`."""
    import numpy as np  # `convcli --help` checks nothing, and needs no numpy

    # numpy imports this module in 10 ms, when it is first used: without it nothing is masked.
    masked = sys.modules.get("numpy.ma")
    parts = value if isinstance(value, (list, tuple)) else ()
    if masked and any(isinstance(each, masked.MaskedArray) for each in (value, *parts)):
        skipping = f"{name}.filled(np.nan) and nan='skip', " if name == "image" else ""
        raise ConvcliError(
            f"{name} is a masked array, which filters do not take: pass {skipping}"
            f"{name}.filled(0), or {name}.data to use the masked samples as well"
        )
    try:
        return np.asarray(value)
    except Exception as error:  # objects with an array interface may raise what they like
        if isinstance(error, MemoryError):
            raise
        raise ConvcliError(
            f"{name} cannot be read as an array: its rows may differ in length "
            f"({type(error).__name__})"
        ) from None
