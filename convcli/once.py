"""Values that each object computes once, when they are first asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

Value = TypeVar("Value")


class cached_property(functools.cached_property[Value]):  # noqa: N801 as it is named there
    """The property of Python 3.12 and later, which has no lock.

    That of Python 3.11 has one for all objects together. A child that is forked while a thread of
    its parent holds it would wait for it for ever. Without it two threads may compute a value
    twice.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        super().__init__(compute)
        self.lock = nullcontext()
