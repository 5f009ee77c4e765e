"""The race: everybody warms up and is checked, then all run in turn, round after round."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from convcli import memory
from convcli.errors import ConvcliError, reason_of
from convcli.kernels.kernel import Kernel
from convcli.racing.contenders import CONTENDERS, Contender
from convcli.racing.machine import machine
from convcli.racing.oracle import Oracle, oracle_for
from convcli.racing.results import Race, Result
from convcli.types import Pixels


class Case(NamedTuple):
    """A picture's size and a kernel."""

    height: int
    width: int
    kernel: Kernel


def cases_of(sizes: Sequence[tuple[int, int]], kernels: Sequence[Kernel]) -> list[Case]:
    """Cross sizes (height, width) with kernels: all of one with the middle one of the other.

    That is what two curves need, and a third of what a table of all of them would take.
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
    """Return the case whose size is raced with the most kernels, and its kernel on most sizes."""

    def company(case: Case) -> int:
        return sum(other[:2] == case[:2] or other.kernel is case.kernel for other in cases)

    most = max(map(company, cases))
    meeting = [case for case in cases if company(case) == most]
    return meeting[len(meeting) // 2]


OnChange = Callable[[int, tuple[Result, ...]], None]
"""Called with the number of a case and its results so far, after everything that was measured."""

# What is so much longer than its start is measured on a smaller picture where time is short. A
# tenth of start-up, as processes have it, makes the extrapolation a tenth too large.
_STARTS = 10
# Probes grow until they take so long, which a clock and other processes' work hardly change.
_PROBE_SECONDS = 0.002
# What takes so long is not run again only to foresee how long it takes.
_LONG_PROBE = 0.1
# However short time is, so long is worth measuring; what is shorter is mostly Python's calls.
_LEAST_SECONDS = 0.005
# Shorter pictures have so much of a halo (in sides of the kernel) that their memory, scaled by
# their pixels, would be that of the halo.
_KERNELS_A_SIDE = 4
# Of the free memory, what one contender may take.
_MEMORY_SHARE = 0.25


class _Estimate(NamedTuple):
    """What a contender is expected to take, before it is measured."""

    fixed: float
    a_pixel: float
    bytes_a_pixel: float

    def seconds(self, pixels: int) -> float:
        return self.fixed + self.a_pixel * pixels

    def affordable(self, pixels: int, seconds: float, most_bytes: float) -> int:
        """Halve a picture until it can be afforded, or start-up is a good part of the time."""
        enough = max(seconds, _STARTS * self.fixed, _LEAST_SECONDS)
        while pixels > 1 and (
            self.seconds(pixels) > enough or self.bytes_a_pixel * pixels > most_bytes
        ):
            pixels //= 2
        return pixels


_UNKNOWN = _Estimate(0.0, 0.0, 0.0)


@dataclass
class _Entrant:
    """A contender in one case, and what is known of it so far."""

    name: str
    contender: Contender
    case: Case
    verdict: str = ""
    estimate: _Estimate = _UNKNOWN
    predicted: float | None = None
    picture: Pixels = field(default_factory=lambda: np.empty((0, 0, 1)))
    memory: int | None = None
    error: float | None = None
    times: list[float] = field(default_factory=list)

    @property
    def pixels(self) -> int:
        """Of the picture that it gets."""
        return int(self.picture.shape[0] * self.picture.shape[1])

    def result(self) -> Result:
        """Say what is known; no time without a right result."""
        height, width, kernel = self.case
        scale = height * width / max(self.pixels, 1)
        best = min(self.times, default=0.0)
        shown = bool(self.times) and not self.verdict
        return Result(
            contender=self.name,
            kind=self.contender.kind,
            form=self.contender.form,
            height=height,
            width=width,
            side=max(kernel.shape),
            kernel_height=kernel.shape[0],
            kernel_width=kernel.shape[1],
            seconds=best * scale if shown else None,
            spread=max(self.times) / best - 1 if shown and best else 0.0,
            rounds=len(self.times) if shown else 0,
            measured_pixels=self.pixels,
            predicted=self.predicted,
            memory=None if self.memory is None else round(self.memory * scale),
            error=self.error,
            verdict=self.verdict,
        )


def race(
    picture: Pixels,
    cases: Sequence[Case],
    names: Sequence[str],
    rounds: int,
    budget: float,
    on_change: OnChange | None = None,
    mode: str = "",
) -> Race:
    """Race contenders over every case.

    Imports and compilers come first and are not counted. Then, case by case, everybody runs
    once, out of competition: that result is held against the oracle, and its memory measured.
    Who is right is timed, one after the other in each round. Who would take too long for the
    budget does so on a smaller picture, and its time is scaled by the pixels.

    Parameters
    ----------
    picture : ndarray, (H, W, C)
        At least as large as any case; cases take its upper left part.
    cases : sequence of Case
        Sizes and kernels.
    names : sequence of str
        Who takes part, keys of `CONTENDERS`.
    rounds : int
        How many rounds at most; for whom there is no time left runs in fewer.
    budget : float
        Seconds for all of it but the imports and compilers. Who is not reached has no time.
    on_change : callable, optional
        See `OnChange`.
    mode : str
        The picture's, for `Race.mode`.

    Returns
    -------
    Race
        Its results in the order of cases and names, its pictures from the first size and the
        kernel in the middle.

    Raises
    ------
    ConvcliError
        If the budget is over before anybody has a time, or the oracle itself is wrong.
    """
    if picture.dtype.kind == "f" and not np.isfinite(picture).all():
        raise ConvcliError("the picture has samples that are infinite or not a number")
    starters = [[_Entrant(name, CONTENDERS[name], case) for name in names] for case in cases]
    _start(starters, picture)
    deadline = time.perf_counter() + budget
    shown = middle_of([case for case in cases if case[:2] == cases[0][:2]])
    images: dict[str, Pixels] = {}
    # Larger pictures get more of the time, but not so much more that nothing is left to the rest.
    weights = [math.sqrt(case.height * case.width) for case in cases]
    for number, (case, entrants) in enumerate(zip(cases, starters, strict=True)):
        left = deadline - time.perf_counter()
        share = left * weights[number] / sum(weights[number:])

        def changed(number: int = number, entrants: list[_Entrant] = entrants) -> None:
            if on_change:
                on_change(number, tuple(entrant.result() for entrant in entrants))

        whole = np.ascontiguousarray(picture[: case.height, : case.width])
        running = _run(whole, entrants, rounds, share, deadline, changed)
        if case is shown:
            images = {"picture": whole, **running}
    if not any(entrant.times for entrants in starters for entrant in entrants) and any(
        entrant.verdict == "over budget" for entrants in starters for entrant in entrants
    ):
        raise ConvcliError(f"a budget of {budget:g} s is too small for one round; give it more")
    verdicts = {entrant.name: entrant.verdict for entrants in starters for entrant in entrants}
    if set(verdicts.values()) <= {"not installed", "not for this kernel"}:
        raise ConvcliError(
            "nobody can race: "
            + "; ".join(f"{name} is {verdict}" for name, verdict in verdicts.items())
            + "; numpy-dense takes any kernel"
        )
    return Race(
        machine=machine(),
        kernel=cases[0].kernel.name,
        results=tuple(entrant.result() for entrants in starters for entrant in entrants),
        images={
            name: image[..., 0] if image.shape[2] == 1 else image for name, image in images.items()
        },
        images_kernel=shown.kernel.shape,
        mode=mode,
    )


def _start(starters: list[list[_Entrant]], picture: Pixels) -> None:
    """Let everybody import and compile what each kernel needs, and find who cannot take part."""
    done: dict[tuple[str, int], str] = {}
    for entrant in (entrant for entrants in starters for entrant in entrants):
        contender, kernel = entrant.contender, entrant.case.kernel
        key = entrant.name, id(kernel)
        if key not in done:
            if not contender.is_installed:
                done[key] = "not installed"
            elif not contender.takes(kernel):
                done[key] = "not for this kernel"
            else:
                done[key] = _attempt(contender, picture[:1, :1].copy(), kernel)
        entrant.verdict = done[key]


def _attempt(contender: Contender, picture: Pixels, kernel: Kernel) -> str:
    try:
        contender.work(picture, kernel)
    except Exception as error:  # packages raise what they like, and nobody's fault ends the race
        return reason_of(error)
    return ""


def _run(
    picture: Pixels,
    entrants: list[_Entrant],
    rounds: int,
    share: float,
    deadline: float,
    changed: Callable[[], None],
) -> dict[str, Pixels]:
    """Run one case in about `share` seconds; return the right results of the whole picture."""
    start = time.perf_counter()
    for entrant in _racing(entrants):
        if time.perf_counter() > deadline:
            entrant.verdict = "over budget"
        else:
            _estimate(entrant, picture)
    _share_out(picture, entrants, share - (time.perf_counter() - start), rounds)
    images = _first_round(picture, entrants, deadline, changed)
    _later_rounds(entrants, rounds, start + share, deadline, changed)
    for entrant in _racing(entrants):
        if not entrant.times:
            entrant.verdict = "over budget"
    changed()
    return {e.name: images[e.name] for e in entrants if e.name in images and not e.verdict}


def _first_round(
    picture: Pixels, entrants: list[_Entrant], deadline: float, changed: Callable[[], None]
) -> dict[str, Pixels]:
    """Check everybody and time who is right; return what they made of the whole picture."""
    images: dict[str, Pixels] = {}
    oracles: dict[tuple[int, ...], Oracle] = {}
    # The quickest first: should the budget end, most of them have run.
    for entrant in sorted(_racing(entrants), key=lambda e: e.estimate.seconds(e.pixels)):
        if time.perf_counter() > deadline:
            entrant.verdict = "over budget"
            continue
        shape = entrant.picture.shape
        if shape not in oracles:
            trusted = next((oracle.method for oracle in oracles.values()), None)
            oracles[shape] = oracle_for(entrant.picture, entrant.case.kernel, trusted)
        result = _warm_up(entrant, oracles[shape])
        if result is not None and shape == picture.shape:
            images[entrant.name] = result
        if not entrant.verdict:
            _time(entrant)  # at once: who was checked has a time, whatever happens
        changed()
    return images


def _later_rounds(
    entrants: list[_Entrant],
    rounds: int,
    end: float,
    deadline: float,
    changed: Callable[[], None],
) -> None:
    """Time everybody again, round by round, as far as that can be done until `end`."""
    for number in range(1, rounds):
        order = sorted(_racing(entrants), key=lambda e: min(e.times, default=0.0))
        for place, entrant in enumerate(order):
            now = time.perf_counter()
            if now > deadline:
                return
            # Those who take long wait, if there is no time for all of them again.
            left = (end - now) / (rounds - number) / (len(order) - place)
            if entrant.times and min(entrant.times) <= left:
                _time(entrant)
                changed()


def _racing(entrants: list[_Entrant]) -> list[_Entrant]:
    return [entrant for entrant in entrants if not entrant.verdict]


def _estimate(entrant: _Entrant, picture: Pixels) -> None:
    """Foresee an entrant's time: methods have plans, others show it on small pictures."""
    contender, kernel = entrant.contender, entrant.case.kernel
    pixels = picture.shape[0] * picture.shape[1]
    try:
        if contender.plan:
            entrant.predicted = contender.plan(picture.shape, picture.dtype, kernel).seconds
            fixed = contender.plan((1, 1, picture.shape[2]), picture.dtype, kernel).seconds
            a_pixel = max(0.0, entrant.predicted - fixed) / pixels
            entrant.estimate = _Estimate(fixed, a_pixel, 0.0)
        else:
            entrant.estimate = _probed(contender, picture, kernel)
    except Exception as error:
        entrant.verdict = reason_of(error)


def _probed(contender: Contender, picture: Pixels, kernel: Kernel) -> _Estimate:
    """Time pictures of 1, 4, 16... pixels until that takes a while, and more than the last."""
    pixels, seconds = [0], [0.0]
    side = 1
    while pixels[-1] < picture.shape[0] * picture.shape[1] and (
        len(seconds) < 3 or seconds[-1] < _PROBE_SECONDS or seconds[-1] <= seconds[-2]
    ):
        if seconds[-1] > _LONG_PROBE:
            break
        piece = picture[:side, :side].copy()
        spent = _seconds(contender, piece, kernel)
        if spent < _LONG_PROBE:
            # The better of two: of what one shares the processor with, it would bear the cost.
            spent = min(spent, _seconds(contender, piece, kernel))
        seconds.append(spent)
        pixels.append(piece.shape[0] * piece.shape[1])
        side *= 2
    # Who is so slow will have a picture that fits any memory.
    is_seen = contender.memory_is_seen and seconds[-1] < _LONG_PROBE
    held = _traced(contender, piece, kernel)[0] if is_seen else 0
    a_pixel = max(0.0, (seconds[-1] - seconds[-2]) / (pixels[-1] - pixels[-2]))
    fixed = max(0.0, seconds[-1] - a_pixel * pixels[-1])
    return _Estimate(fixed, a_pixel, held / pixels[-1])


def _share_out(picture: Pixels, entrants: list[_Entrant], share: float, rounds: int) -> None:
    """Choose how large a picture everybody gets; what the quick leave over is for the slow."""
    height, width, _ = picture.shape
    most_bytes = (memory.available() or 2**31) * _MEMORY_SHARE
    waiting = sorted(_racing(entrants), key=lambda e: e.estimate.seconds(height * width))
    runs = rounds + 2  # and the warm-up, which takes Python's loops longer while traced
    for number, entrant in enumerate(waiting):
        each = max(share, 0.0) / (len(waiting) - number) / runs
        pixels = entrant.estimate.affordable(height * width, each, most_bytes)
        side = math.sqrt(pixels / (height * width))
        rows, columns = max(1, round(height * side)), max(1, round(width * side))
        whole = pixels == height * width
        entrant.picture = picture if whole else np.ascontiguousarray(picture[:rows, :columns])
        share -= entrant.estimate.seconds(pixels) * runs


def _warm_up(entrant: _Entrant, oracle: Oracle) -> Pixels | None:
    """Run once, out of competition, to see if it is right and what memory it takes."""
    height, width, kernel = entrant.case
    rows, columns, _ = entrant.picture.shape
    # A copy: who writes into it shall spoil nobody else's picture.
    given = entrant.picture.copy()
    is_large = min(rows, columns) >= _KERNELS_A_SIDE * max(kernel.shape)
    try:
        if entrant.contender.memory_is_seen and (is_large or (rows, columns) == (height, width)):
            entrant.memory, result = _traced(entrant.contender, given, kernel)
        else:
            result = entrant.contender.work(given, kernel)
    except Exception as error:
        entrant.verdict = reason_of(error)
        return None
    entrant.error, is_right = oracle.error(result)
    if not np.array_equal(given, entrant.picture):
        entrant.verdict = "changes its input"
    elif not is_right:
        entrant.verdict = "wrong"
    return None if entrant.verdict else result


def _traced(contender: Contender, picture: Pixels, kernel: Kernel) -> tuple[int, Pixels]:
    """Run once and measure the most memory that is held beyond the picture and the result."""
    tracemalloc.start()
    try:
        result = contender.work(picture, kernel)
        return max(0, tracemalloc.get_traced_memory()[1] - result.nbytes), result
    finally:
        tracemalloc.stop()


def _time(entrant: _Entrant) -> None:
    try:
        seconds = _seconds(entrant.contender, entrant.picture, entrant.case.kernel)
    except Exception as error:
        entrant.verdict = reason_of(error)
    else:
        entrant.times.append(seconds)


def _seconds(contender: Contender, picture: Pixels, kernel: Kernel) -> float:
    start = time.perf_counter()
    contender.work(picture, kernel)
    return time.perf_counter() - start
