"""Checks of single numbers; the error names the value and what is allowed."""

import math

from convcli.errors import ConvcliError


def finite(**values: float) -> None:
    """Raise `ConvcliError` for a value that is infinite or NaN."""
    for name, value in values.items():
        if not math.isfinite(value):
            raise ConvcliError(f"{name} must be a finite number, not {value:g}")


def at_least_0(**values: float) -> None:
    """Raise `ConvcliError` for a value that is negative or not finite."""
    finite(**values)
    for name, value in values.items():
        if value < 0:
            raise ConvcliError(f"{name} must be at least 0, not {value:g}")


def positive(value: float, name: str) -> float:
    """Return a finite number above 0, or raise `ConvcliError`."""
    if not (math.isfinite(value) and value > 0):
        raise ConvcliError(f"{name} must be a finite number above 0, not {value:g}")
    return float(value)


def count(value: float, name: str, least: int = 1) -> int:
    """Return a whole number of at least `least`, or raise `ConvcliError`."""
    if not (math.isfinite(value) and value >= least and value == int(value)):
        raise ConvcliError(f"{name} must be a whole number of at least {least}, not {value:g}")
    return int(value)
