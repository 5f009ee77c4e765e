"""A contender in one case: estimated, checked in a warm-up, timed in rounds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from convcli.errors import reason_of
from convcli.kernels.kernel import kernel_from
from convcli.racing.cases import Case
from convcli.racing.contenders import Contender
from convcli.racing.estimate import Estimate, planned, probed
from convcli.racing.measure import memory_of, seconds_of
from convcli.racing.oracle import Oracle
from convcli.racing.results import Result
from convcli.types import Pixels

# Smaller images, in sides of the kernel, have so much of a halo that their memory, scaled by
# their pixels, would be that of the halo.
_KERNELS_A_SIDE = 4

# A kernel of more weights (129 x 129 fit) is not needed to import and compile.
_WIDE = 1 << 15
# Seconds of a call for each weight of the dense form by numpy, which its plan leaves out.
_CALL = 1e-6

_UNKNOWN = Estimate(0.0, 0.0)


@dataclass
class Entry:
    """A contender in one case, and what is known of it so far.

    Attributes
    ----------
    name, contender, case
        A row of `convcli.racing.contenders.CONTENDERS`, and the case that it runs in.
    verdict : str
        As `Result.verdict`. An entry with a verdict is out: it does not run again.
    estimate : Estimate
        What it is expected to take.
    picture : ndarray, (H, W, C)
        Its input: the case's image, or the upper left part of it.
    memory, error, predicted
        As in `Result`, but for the pixels of `picture`.
    times : list of float
        Seconds of its rounds.
    """

    name: str
    contender: Contender
    case: Case
    verdict: str = ""
    estimate: Estimate = _UNKNOWN
    predicted: float | None = None
    picture: Pixels = field(default_factory=lambda: np.empty((0, 0, 1)))
    memory: int | None = None
    error: float | None = None
    times: list[float] = field(default_factory=list)

    @property
    def pixels(self) -> int:
        """How many pixels its input has."""
        return int(self.picture.shape[0] * self.picture.shape[1])

    @property
    def best(self) -> float:
        """Seconds of its best round; 0 before the first."""
        return min(self.times, default=0.0)

    def prepare(self, picture: Pixels) -> None:
        """Import and compile what it needs, or find out that it cannot run."""
        kernel = self.case.kernel
        if not self.contender.is_installed:
            self.verdict = "not installed"
        elif not self.contender.takes(kernel):
            self.verdict = "not for this kernel"
        else:
            # One pixel of 4001 x 4001 weights takes numpy's slices 20 s; what is imported and
            # compiled is the same for 3 x 3.
            is_wide = self.contender.form == "dense" and math.prod(kernel.shape) > _WIDE
            with self._failing():
                small = kernel_from(np.eye(3)) if is_wide else kernel
                self.contender.work(self.contender.laid_out(picture[:1, :1].copy()), small)

    def foresee(self, picture: Pixels) -> None:
        """Estimate what it will take for the image of the case."""
        with self._failing():
            if self.contender.plan:
                self.estimate = planned(self.contender, picture, self.case.kernel)
                if self.name == "numpy dense":
                    calls = _CALL * self.case.kernel.taps
                    self.estimate = self.estimate._replace(start_up=self.estimate.start_up + calls)
                self.predicted = self.estimate.seconds(self.case.pixels)
            else:
                self.estimate = probed(self.contender, picture, self.case.kernel)

    def warm_up(self, oracle: Oracle) -> Pixels | None:
        """Run once, untimed, to check the output and to measure memory; return it if right."""
        # A copy: a contender that writes into its input must not spoil that of the others.
        given = self.picture.copy()
        output: Pixels | None = None
        with self._failing():
            if self._memory_counts:
                self.memory, output = memory_of(self.contender, given, self.case.kernel)
            else:
                output = self.contender.work(self.contender.laid_out(given), self.case.kernel)
        if self.verdict:
            return None
        self.error, is_right = oracle.error(output)
        if not np.array_equal(given, self.picture):
            self.verdict = "changes its input"
        elif not is_right:
            self.verdict = "wrong"
        return None if self.verdict else output

    def time(self) -> None:
        """Run one timed round."""
        with self._failing():
            self.times.append(seconds_of(self.contender, self.picture, self.case.kernel))

    def result(self) -> Result:
        """Return what is known; there is no time without a right output."""
        height, width, kernel = self.case
        scale = self.case.pixels / max(self.pixels, 1)
        is_timed = bool(self.times) and not self.verdict
        return Result(
            contender=self.name,
            kind=self.contender.kind,
            form=self.contender.form,
            height=height,
            width=width,
            side=max(kernel.shape),
            kernel_height=kernel.shape[0],
            kernel_width=kernel.shape[1],
            seconds=self.best * scale if is_timed else None,
            spread=max(self.times) / self.best - 1 if is_timed and self.best else 0.0,
            rounds=len(self.times) if is_timed else 0,
            measured_pixels=self.pixels,
            predicted=self.predicted,
            memory=None if self.memory is None else round(self.memory * scale),
            error=self.error,
            verdict=self.verdict,
        )

    @property
    def _memory_counts(self) -> bool:
        """Whether its memory can be seen, and scales with the pixels."""
        rows, columns, _ = self.picture.shape
        is_large = min(rows, columns) >= _KERNELS_A_SIDE * max(self.case.kernel.shape)
        return self.contender.memory_is_seen and (is_large or self.pixels == self.case.pixels)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Make an exception the verdict: packages raise anything, and the race goes on."""
        try:
            yield
        except Exception as error:
            self.verdict = reason_of(error)
