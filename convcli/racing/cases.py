"""The cases of a race: an image size and a kernel each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple


class Case(NamedTuple):
    """An image size and a kernel, or the weights of a bank: both have a name and a shape."""

    height: int
    width: int
    kernel: Any

    @property
    def pixels(self) -> int:
        """How many pixels the image has."""
        return self.height * self.width


def cases_of(sizes: Sequence[tuple[int, int]], kernels: Sequence[Any]) -> list[Case]:
    """Pair each size (height, width) with the middle kernel, each kernel with the middle size.

    Two curves need no more. Every size with every kernel would take three times as long.
    """
    sizes = sorted(set(sizes), key=math.prod)
    kernels = sorted(kernels, key=lambda kernel: math.prod(kernel.shape))
    middle_size, middle_kernel = sizes[len(sizes) // 2], kernels[len(kernels) // 2]
    return [
        Case(*size, kernel)
        for size in sizes
        for kernel in kernels
        if size == middle_size or kernel is middle_kernel
    ]


def middle_of(cases: Sequence[Case]) -> Case:
    """Return the case that shares its size or its kernel with the most others."""

    def related(case: Case) -> int:
        return sum(other[:2] == case[:2] or other.kernel is case.kernel for other in cases)

    most = max(map(related, cases))
    middle = [case for case in cases if related(case) == most]
    return middle[len(middle) // 2]
