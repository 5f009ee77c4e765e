"""What there is to do (a task), how one method does it (a route), and the choice (a plan)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from convcli.kernels.kernel import Kernel
from convcli.loops.contract import LOOPS
from convcli.loops.decimation import Decimations
from convcli.once import cached_property
from convcli.planning.methods import Executor, worker_count
from convcli.words import Method, duration

Form = Literal["separable", "dense", "decimated"]


@dataclass(frozen=True)
class Task:
    """What there is to do, as far as a plan depends on it.

    Attributes
    ----------
    shape : (H, W) or (H, W, C)
        Size of the image in pixels.
    dtype : dtype
        Its samples.
    kernels : tuple of Kernel
        All of one shape.
    method : {"auto", "numpy", "numba", "fft", "tiled"}
        "auto" takes the one that is predicted to be fastest.
    workers : int, optional
        Cores to use; default: every core that this process may use.
    exact : bool
        Sum in float64 whatever the dtype.
    images : int
        How many images share the start-up.
    form : {"separable", "dense"}, optional
        Force one form; the default is the cheaper one.
    decimations : (Decimation, Decimation), optional
        Blur by way of these grids, whatever the method, so that all give the same image.
    is_magnitude : bool
        The magnitude of two separable kernels is needed: some loops make it in one pass.
    local : bool
        The rounding of a sum may depend on the samples under the kernel alone; that of a
        transform depends on all it transforms.
    as_floats : bool
        Samples come to the loop as floats of the accumulator's kind: light, colours weighted by
        alpha, and what has a constant beside it that its own dtype cannot hold.
    leaves_out : bool
        Samples may be missing: then each kernel is summed by itself, over floats.
    other_work : float
        Nanoseconds a sample that colour and the combining of results take
        (`convcli.planning.costs.colour_cost`).
    whole : (int, int), optional
        Rows and columns of the image of which this is a piece. The forms of a kernel round
        differently, and so both take the same.
    without : mapping
        Packages that are installed but cannot be imported, and why.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    kernels: tuple[Kernel, ...]
    method: Method = "auto"
    workers: int | None = None
    exact: bool = False
    images: int = 1
    form: Form | None = None
    decimations: Decimations | None = None
    is_magnitude: bool = False
    local: bool = False
    as_floats: bool = False
    leaves_out: bool = False
    other_work: float = 0.0
    whole: tuple[int, int] | None = None
    without: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def size(self) -> tuple[int, int, int]:
        """Rows, columns and channels."""
        height, width, *channels = self.shape
        return height, width, channels[0] if channels else 1

    @cached_property
    def cores(self) -> int:
        """How many cores to use."""
        return worker_count(self.workers)

    @cached_property
    def samples(self) -> np.dtype[Any]:
        """The dtype of the samples that the loop gets."""
        is_byte = np.dtype(self.dtype) == np.uint8
        return np.dtype(np.float32) if self.as_floats and is_byte else np.dtype(self.dtype)


class Route(NamedTuple):
    """How one method does a task.

    Attributes
    ----------
    loop : str
        The inner loop, a name in `convcli.loops.contract.LOOPS`.
    form : {"separable", "dense", "decimated"}
        Columns then rows for each factor of the kernel, all weights at once, or a Gaussian by
        way of a coarser grid.
    rank : int
        How many column-times-row terms the separable form has; 0 where finding out would
        cost more than it could save.
    executor : {"threads", "processes"}
        What the work is spread over.
    workers : int
        How many of them.
    regions : (int, int)
        Rows and columns of the regions that are handed out.
    tile : (int, int)
        Rows and columns of the pieces of a region that go through the loop at a time, so that
        its buffers stay in the cache.
    accumulator : {"float32", "float64"}
        The float that sums are kept in.
    seconds : float
        Predicted time of the loop alone.
    """

    loop: str
    form: Form
    rank: int
    executor: Executor
    workers: int
    regions: tuple[int, int]
    tile: tuple[int, int]
    accumulator: str
    seconds: float


class Missed(NamedTuple):
    """A compiled loop, by its entry and dtype, and the seconds that it would have saved."""

    entry: str
    dtype: str
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What would run for one image and kernel, and why; print it to read it.

    Attributes
    ----------
    method : str
        The method, never "auto".
    route : Route
        How it does the task.
    needs : tuple of str
        Packages that have to be imported first.
    seconds : float
        Predicted time, start-up included.
    predicted : dict
        The same for every method.
    reason : str
        Why this method.
    task : Task
        What the plan was made for.
    missed : Missed or None
        The compiled loop that would have been faster, if it were not for compiling it.
    """

    method: Method
    route: Route
    needs: tuple[str, ...]
    seconds: float
    predicted: dict[Method, float]
    reason: str
    task: Task = field(compare=False, repr=False)
    missed: Missed | None = None

    def __str__(self) -> str:
        below = "\n" + 11 * " "
        return "\n".join(f"{word:11}{text}".replace("\n", below) for word, text in self.parts())

    @property
    def workers(self) -> int:
        """How many threads or processes."""
        return self.route.workers

    @property
    def kernel(self) -> str:
        """Names and sizes of the kernels."""
        return " and ".join(f"{k.name} {k.shape[1]} x {k.shape[0]}" for k in self.task.kernels)

    def parts(self) -> list[tuple[str, str]]:
        """Return what the plan says, each part under a word; a text may have two lines."""
        loop, form, rank, executor, workers, regions, _, accumulator, _ = self.route
        others = ", ".join(f"{m} {duration(s)}" for m, s in self.predicted.items())
        text = f"{rank} separable terms" if form == "separable" and rank > 1 else str(form)
        if self.task.decimations:
            along_y, along_x = self.task.decimations
            error = 255 * sum(axis.error for axis in self.task.decimations) / 2
            text = (
                f"decimated, on a grid of {along_x.step} x {along_y.step} pixels:\n"
                f"at most {error:.2g} of a level from the true Gaussian"
            )
        one = {"threads": "thread", "processes": "process"}[executor]
        return [
            ("method", f"{self.method}: {self.reason}"),
            ("kernel", f"{self.kernel}, {text}"),
            ("loop", f"{LOOPS[loop]}, sums in {accumulator}"),
            (
                "spread",
                f"over {workers} {one if workers == 1 else executor}, "
                f"{regions[1]} x {regions[0]} pixels at a time",
            ),
            ("predicted", f"{duration(self.seconds)} to filter ({others})"),
        ]

    def passes(self) -> list[str]:
        """Say in what order the weights are summed, a line for each pass over the image."""
        height, width = self.task.kernels[0].shape
        if self.task.decimations:
            along_y, along_x = self.task.decimations
            return [
                f"onto the grid: {along_x.narrow.size} x {along_y.narrow.size} weights",
                f"back from it: {along_x.wide.shape[1]} x {along_y.wide.shape[1]} weights",
            ]
        if self.route.form == "dense":
            return [f"all {width} x {height} weights at once"]
        times = f", {self.route.rank} sets of them, added" if self.route.rank > 1 else ""
        return [f"columns of {height} weights{times}", f"rows of {width} weights{times}"]

    def reach(self) -> tuple[int, int]:
        """Return how many pixels beyond the edge the kernel reaches, along y and along x."""
        if self.task.decimations:
            along_y, along_x = self.task.decimations
            return along_y.radius, along_x.radius
        height, width = self.task.kernels[0].shape
        return height // 2, width // 2
