"""The results of a race."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from convcli.types import Pixels


@dataclass(frozen=True)
class Result:
    """What one contender took in one case, an image size and a kernel.

    Attributes
    ----------
    contender : str
        Its name: "numba", "im2col", "scipy.ndimage". The dense form of a method is "numba dense".
    kind : {"method", "classical", "peer"}
        A word of ``--method``, a classical loop that only `bench` runs, or another package.
    form : {"separable", "dense"}
        Whether a column and a row of weights were applied in turn, or all weights at once.
    height, width : int
        Pixels of the image.
    side : int
        Side of the kernel, the longer one if they differ: the x axis of the curves.
    kernel_height, kernel_width : int
        Rows and columns of the kernel.
    seconds : float or None
        Best round; None if it did not run or was wrong.
    spread : float
        (slowest - best) / best.
    rounds : int
        Number of timed rounds.
    measured_pixels : int
        Fewer than ``height * width`` if `seconds` is extrapolated from a smaller image.
    predicted : float or None
        Seconds that the plan predicts; only methods have plans.
    memory : int or None
        Peak of the bytes that Python and numpy hold beyond the input and the output, by
        tracemalloc, for an image of `measured_pixels` and scaled as `seconds` is. None if
        tracemalloc does not see the memory (other processes, C++), if it is too slow because
        of many small objects (`definition`), or if the image is so small that most of the
        memory would be the kernel's halo.
    error : float or None
        Largest difference from the oracle, both rounded to code values; in the image's own
        units if its samples are floats.
    verdict : str
        "", or why there is no time: "wrong", "changes its input", "not for this kernel",
        "not installed", "over budget", or the exception that it raised.
    """

    contender: str
    kind: str
    form: str
    height: int
    width: int
    side: int
    kernel_height: int
    kernel_width: int
    seconds: float | None
    spread: float
    rounds: int
    measured_pixels: int
    predicted: float | None
    memory: int | None
    error: float | None
    verdict: str

    @property
    def case(self) -> tuple[int, int, int, int]:
        """The image's height and width, and the kernel's."""
        return self.height, self.width, self.kernel_height, self.kernel_width

    @property
    def is_extrapolated(self) -> bool:
        """Whether its time was measured on a smaller image."""
        return self.measured_pixels < self.height * self.width

    @property
    def is_wrong(self) -> bool:
        """Whether it ran, but did not give the right output or changed its input."""
        return self.verdict in ("wrong", "changes its input")

    @property
    def kernel_name(self) -> str:
        """The kernel's width and height, as ``convcli kernel`` prints them: ``"23 x 13"``."""
        return f"{self.kernel_width} x {self.kernel_height}"


def size_name(height: int, width: int) -> str:
    """Return the sides and megapixels of an image: ``"1225 x 816 pixels (1 MP)"``."""
    return f"{width} x {height} pixels ({megapixels(height, width)})"


def megapixels(height: int, width: int) -> str:
    """Return an image's size in megapixels, in three digits: ``"0.25 MP"``."""
    return f"{height * width / 1e6:.3g} MP"


def ranked(results: Sequence[Result]) -> list[Result]:
    """Sort results: the fastest first, those without a time last."""
    return sorted(results, key=lambda each: (each.seconds is None, each.seconds or 0))


def by_reason(reasons: Mapping[str, str]) -> str:
    """List names by the reason they share: ``"im2col, dot (wrong); fft (over budget)"``."""
    names: dict[str, list[str]] = defaultdict(list)
    for name, reason in reasons.items():
        names[reason].append(name)
    return "; ".join(f"{', '.join(each)} ({reason})" for reason, each in names.items())


BASES = ("dot", "definition")
"""The contenders that speeds are given as multiples of, as textbooks and papers do."""


def speed_beside(base: str, result: Result, results: Sequence[Result]) -> float | None:
    """Return how many times as fast as the contender `base` a result is, in the same case.

    None if one of them has no time.
    """
    for other in results:
        if other.contender == base and other.case == result.case:
            if other.seconds is None or not result.seconds:
                return None
            return other.seconds / result.seconds
    return None


@dataclass(frozen=True)
class Race:
    """A whole race: its machine, its kernel and every result.

    Attributes
    ----------
    machine : dict of str
        Processor, cores, memory, and the versions of Python and the packages.
    kernel : str
        Name of the kernels: "gaussian", or the one that was given.
    results : tuple of Result
        One for each contender and case.
    images : dict of Pixels
        Outputs of one case, ``(H, W[, C])``, by the contender's name; and its input, named
        "picture". Contenders that were wrong, or timed on a smaller image, are missing.
    images_kernel : (int, int) or None
        Rows and columns of the kernel of `images`.
    mode : str
        The image's, a key of `convcli.image.MODES`: the number of channels does not distinguish
        CMYK from RGBA. "" stands for grey or RGB, with or without alpha.
    notes : tuple of str
        What else there is to say about the work.
    """

    machine: dict[str, str]
    kernel: str
    results: tuple[Result, ...]
    images: dict[str, Pixels]
    images_kernel: tuple[int, int] | None = None
    mode: str = ""
    notes: tuple[str, ...] = ()
