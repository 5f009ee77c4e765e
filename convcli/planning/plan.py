"""A plan: what would run for one picture and kernel, and why; it can be printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from convcli.loops.contract import LOOPS
from convcli.loops.decimation import Decimations
from convcli.planning.methods import Executor
from convcli.words import Method, duration

Form = Literal["separable", "dense", "decimated"]


@dataclass(frozen=True)
class Plan:
    """What would run: a preset completed for one picture and kernel.

    Attributes
    ----------
    method : str
        The word that names it, never "auto".
    loop : str
        The inner loop, a name in `convcli.loops.contract.LOOPS`.
    form : {"separable", "dense", "decimated"}
        Columns then rows for each factor of the kernel, all weights at once, or a Gaussian by
        way of a coarser grid.
    rank : int
        How many column-times-row terms the separable form has; 0 where finding out would
        cost more than it could save.
    executor : {"threads", "processes"}
        What the work is spread over, and `workers`, how many of them.
    regions : (int, int)
        Rows and columns of the pieces that are handed out.
    tile : (int, int)
        Rows and columns of the pieces of those that go through the loop at a time, so
        that the buffers stay in the cache.
    accumulator : str
        The float that sums are kept in.
    seconds : float
        Predicted time, start-up included.
    predicted : dict
        The same for every method.
    reason : str
        Why this one.
    kernel : str
        The kernels' names and sizes.
    kernel_shape : (int, int)
        Rows and columns that each of them has.
    decimations : (Decimation, Decimation), optional
        The grids of the form "decimated".
    """

    method: Method
    loop: str
    form: Form
    rank: int
    executor: Executor
    workers: int
    regions: tuple[int, int]
    tile: tuple[int, int]
    accumulator: str
    seconds: float
    predicted: dict[Method, float]
    reason: str
    kernel: str
    kernel_shape: tuple[int, int]
    decimations: Decimations | None = None

    def __str__(self) -> str:
        below = "\n" + 11 * " "
        return "\n".join(f"{word:11}{text}".replace("\n", below) for word, text in self.parts())

    def parts(self) -> list[tuple[str, str]]:
        """Return what the plan says, each under a word; a text may be two lines."""
        others = ", ".join(f"{m} {duration(s)}" for m, s in self.predicted.items())
        several = self.form == "separable" and self.rank > 1
        form = f"{self.rank} separable terms" if several else self.form
        if self.decimations:
            steps = " and ".join(str(axis.step) for axis in self.decimations)
            error = 255 * sum(axis.error for axis in self.decimations) / 2
            form = (
                f"decimated: on a grid of every {steps} pixels (y and x),\n"
                f"at most {error:.2g} of a level from the true Gaussian"
            )
        one = {"threads": "thread", "processes": "process"}
        executor = one[self.executor] if self.workers == 1 else self.executor
        return [
            ("method", f"{self.method}: {self.reason}"),
            ("kernel", f"{self.kernel}, {form}"),
            ("loop", f"{LOOPS[self.loop]}, sums in {self.accumulator}"),
            (
                "spread",
                f"over {self.workers} {executor}, "
                f"{self.regions[0]} x {self.regions[1]} pixels at a time",
            ),
            ("predicted", f"{duration(self.seconds)} to filter ({others})"),
        ]

    def passes(self) -> list[str]:
        """Say in what order the weights are summed, a line for each pass over the picture."""
        height, width = self.kernel_shape
        if self.decimations:
            along_y, along_x = self.decimations
            return [
                f"onto the grid: {along_y.narrow.size} x {along_x.narrow.size} weights",
                f"back from it: {along_y.wide.shape[1]} x {along_x.wide.shape[1]} weights",
            ]
        if self.form == "dense":
            return [f"all {height} x {width} weights at once"]
        times = f", {self.rank} times and added" if self.rank > 1 else ""
        return [f"columns of {height} weights{times}", f"rows of {width} weights{times}"]

    def reach(self) -> tuple[int, int]:
        """Return how many pixels beyond the picture are looked at, along y and along x."""
        if self.decimations:
            return self.decimations[0].radius, self.decimations[1].radius
        return self.kernel_shape[0] // 2, self.kernel_shape[1] // 2
