"""What a race measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convcli.types import Pixels


@dataclass(frozen=True)
class Result:
    """What one contender took for one picture and one kernel.

    Attributes
    ----------
    contender : str
        Its name: "numba", "im2col", "scipy.ndimage". The dense form of a method is "numba dense".
    kind : {"method", "classical", "peer"}
        A word of ``--method``, a loop that is only raced, or another package.
    form : {"separable", "dense"}
        Whether a column and a row were applied in turn, or all weights at once.
    height, width : int
        Pixels of the picture.
    side : int
        Side of the kernel, the longer one where they differ: what curves have along x.
    kernel_height, kernel_width : int
        Rows and columns of the kernel.
    seconds : float or None
        Best round; None where it did not run or was wrong.
    spread : float
        (slowest - best) / best.
    rounds : int
        How many rounds were timed.
    measured_pixels : int
        Fewer than ``height * width`` where `seconds` is extrapolated from a smaller picture.
    predicted : float or None
        Seconds that the plan expected; methods have plans, others not.
    memory : int or None
        Most bytes that Python and numpy held at a time beyond the picture and the result, by
        tracemalloc, for a picture of `measured_pixels` and scaled as `seconds` is. None where
        memory is taken out of its sight (other processes, C++) or in too many small pieces
        (`definition`), or where that picture was so small that most of it would be the
        kernel's halo.
    error : float or None
        Largest difference from the oracle in levels of the picture, both rounded; in the
        picture's own units where its samples are floats.
    verdict : str
        "", or why there is no time: "wrong", "changes its input", "not for this kernel",
        "not installed", "over budget", or what it raised.
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
        """The picture's height and width, and the kernel's."""
        return self.height, self.width, self.kernel_height, self.kernel_width

    @property
    def is_extrapolated(self) -> bool:
        """Whether its time was measured on a smaller picture."""
        return self.measured_pixels < self.height * self.width

    @property
    def is_wrong(self) -> bool:
        """Whether it ran, but not as it should."""
        return self.verdict in ("wrong", "changes its input")

    @property
    def kernel_name(self) -> str:
        """The kernel's rows and columns, as ``convcli kernel`` says them: ``"13 x 23"``."""
        return f"{self.kernel_height} x {self.kernel_width}"


def ranked(results: Sequence[Result]) -> list[Result]:
    """Sort results, the fastest first, and those without a time last."""
    return sorted(results, key=lambda each: (each.seconds is None, each.seconds or 0))


BASES = ("dot", "definition")
"""What everybody's speed is shown as a multiple of, as the texts do."""


def speed_beside(base: str, result: Result, results: Sequence[Result]) -> float | None:
    """Return how many times as fast as a contender a result is, for the same picture and kernel.

    None where one of them has no time.
    """
    for other in results:
        if other.contender == base and other.case == result.case:
            if other.seconds is None or not result.seconds:
                return None
            return other.seconds / result.seconds
    return None


@dataclass(frozen=True)
class Race:
    """A whole race: where it was run, with which kernel, and every result.

    Attributes
    ----------
    machine : dict of str
        Processor, cores, memory, Python and the packages, by name.
    kernel : str
        What the kernels were: "gaussian", or the one that was asked for.
    results : tuple of Result
        One for each contender, picture and kernel.
    images : dict of Pixels
        What each contender made of one of the pictures with one of the kernels, whole and
        ``(H, W[, C])``, by the contender's name; and "picture", what they were given. Those who
        were not timed on the whole picture, or were wrong, are not among them.
    images_kernel : (int, int) or None
        Rows and columns of the kernel of `images`.
    mode : str
        The picture's, a key of `convcli.image.MODES`, as the number of its channels does not tell
        CMYK from RGBA; "" where it is grey or RGB, with or without alpha.
    """

    machine: dict[str, str]
    kernel: str
    results: tuple[Result, ...]
    images: dict[str, Pixels]
    images_kernel: tuple[int, int] | None = None
    mode: str = ""
