"""A race: contenders are prepared, then checked and timed case by case, within a budget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from convcli import memory
from convcli.errors import ConvcliError
from convcli.kernels.kernel import Kernel
from convcli.racing.cases import Case, middle_of
from convcli.racing.contenders import FILTERS, Field
from convcli.racing.entry import Entry
from convcli.racing.machine import machine
from convcli.racing.oracle import Oracle
from convcli.racing.pictures import middle_part
from convcli.racing.results import Race, Result
from convcli.types import Pixels

OnChange = Callable[[int, tuple[Result, ...]], None]
"""Called with the number of a case and its results so far, after every measurement."""

# Of the free memory, what one contender may take.
_MEMORY_SHARE = 0.25

# Seconds that the first run of a race may take beyond the budget, so that the table is not empty.
_MOST_BEYOND = 60.0


class _Limits(NamedTuple):
    """How often and how long the entries of one case may run; times are those of the clock."""

    rounds: int
    end: float  # of this case's share of the budget, which the first round may exceed
    deadline: float  # of the whole budget: no run starts after it, but for the first of all
    is_first: bool  # of the cases: its fastest contender runs however small the budget is


def race(
    picture: Pixels,
    cases: Sequence[Case],
    names: Sequence[str],
    rounds: int,
    budget: float,
    on_change: OnChange | None = None,
    mode: str = "",
    field: Field = FILTERS,
) -> Race:
    """Time contenders in every case.

    Imports and compilation come first and are not timed. Then, case by case, each contender runs
    once to warm up: its output is compared with the oracle, and its memory is measured. Those
    that are right are timed, one after the other in each round. A contender too slow for the
    budget is timed on a smaller image, of 1000 pixels at least, and its time is scaled by the
    number of pixels. The middle case is the first to run.

    Parameters
    ----------
    picture : ndarray, (H, W, C)
        An image at least as large as every case, which takes its middle part.
    cases : sequence of Case
        Image sizes and kernels.
    names : sequence of str
        The contenders, keys of `Field.contenders`.
    rounds : int
        Timed rounds at most; slow contenders run in fewer.
    budget : float
        Seconds for everything but imports and compilation. Contenders that are not reached in
        this time have no result; the fastest of the middle case has one, however small it is.
    on_change : callable, optional
        See `OnChange`.
    mode : str
        The image's, for `Race.mode`.
    field : Field
        Who takes part, and what is right: filters, or banks.

    Returns
    -------
    Race
        With results in the order of cases and names, and images of the first size with the
        middle kernel.

    Raises
    ------
    ConvcliError
        If no contender can run, if the budget ends before any has a time, if the image has
        samples that are infinite or NaN, or if the oracle itself is wrong.
    """
    if picture.dtype.kind == "f" and not np.isfinite(picture).all():
        raise ConvcliError(
            "the image has infinite or NaN samples, so results cannot be compared; "
            "use an image with finite samples"
        )
    for case in cases:
        if isinstance(case.kernel, Kernel):  # raises if there are too many weights for most
            _ = case.kernel.weights
    by_case = [[Entry(name, field.contenders[name], case) for name in names] for case in cases]
    entries = list(chain.from_iterable(by_case))
    _prepare(entries, picture, field.always)
    for part in (picture, picture[:1, :1]):  # it compiles one loop for large images, one for small
        field.oracle_for(part, middle_of(cases).kernel)
    deadline = time.perf_counter() + budget
    shown = middle_of([case for case in cases if case[:2] == cases[0][:2]])
    images: dict[str, Pixels] = {}
    # Larger images get more of the time, but not so much more that nothing is left for the others.
    weights = [math.sqrt(case.pixels) for case in cases]
    # The case whose table is shown comes first: a small budget is enough for that one.
    middle = cases.index(middle_of(cases))
    order = [middle, *(number for number in range(len(cases)) if number != middle)]
    for place, number in enumerate(order):
        case = cases[number]
        now = time.perf_counter()
        waiting = sum(weights[other] for other in order[place:])
        end = now + (deadline - now) * weights[number] / waiting

        def changed(number: int = number) -> None:
            if on_change:
                on_change(number, tuple(entry.result() for entry in by_case[number]))

        whole = middle_part(picture, case.height, case.width)
        limits = _Limits(rounds, end, deadline, is_first=place == 0)
        outputs = _run_case(whole, by_case[number], limits, changed, field.oracle_for)
        if case is shown and field.has_images:
            images = {"picture": whole, **outputs}
    _check_times(entries, budget)
    return Race(
        machine=machine(),
        kernel=cases[0].kernel.name,
        results=tuple(entry.result() for entry in entries),
        images={
            name: image[..., 0] if image.shape[2] == 1 else image for name, image in images.items()
        },
        images_kernel=shown.kernel.shape,
        mode=mode,
    )


def _prepare(entries: Sequence[Entry], picture: Pixels, always: str) -> None:
    """Prepare each contender for each kernel; raise `ConvcliError` if none can run."""
    verdicts: dict[tuple[str, int], str] = {}
    for entry in entries:
        key = entry.name, id(entry.case.kernel)
        if key in verdicts:
            entry.verdict = verdicts[key]
        else:
            entry.prepare(picture)
            verdicts[key] = entry.verdict
    if all(entry.verdict in ("not installed", "not for this kernel") for entry in entries):
        reasons = {entry.name: f"{entry.name} is {entry.verdict}" for entry in entries}
        raise ConvcliError(
            f"no contender can run: {'; '.join(reasons.values())}; "
            f"{always} is always installed and accepts any kernel"
        )


def _check_times(entries: Sequence[Entry], budget: float) -> None:
    """Raise `ConvcliError` if no entry has a time because the budget was too small."""
    is_late = any(entry.verdict == "over budget" for entry in entries)
    if is_late and not any(entry.times for entry in entries):
        raise ConvcliError(
            f"a budget of {budget:g} s is too small to time any contender; raise --budget"
        )


def _run_case(
    picture: Pixels,
    entries: Sequence[Entry],
    limits: _Limits,
    changed: Callable[[], None],
    oracle_for: Callable[..., Oracle],
) -> dict[str, Pixels]:
    """Estimate, check and time the entries of one case; return the right outputs of full size."""
    changed()
    # Plans take no time. Runs on small images may take half of it, so that something is timed.
    now = time.perf_counter()
    until = now + (limits.end - now) / 2
    foreseen = 0
    for entry in sorted(_remaining(entries), key=lambda each: each.contender.plan is None):
        late = time.perf_counter() > until and entry.contender.plan is None
        if late and not (limits.is_first and foreseen == 0):
            entry.verdict = "over budget"
        else:
            entry.foresee(picture)
            foreseen += not entry.verdict
    _size_inputs(picture, entries, limits)
    outputs = _first_round(picture, entries, limits, changed, oracle_for)
    _later_rounds(entries, limits, changed)
    for entry in _remaining(entries):
        if not entry.times:
            entry.verdict = "over budget"
    changed()
    return {
        entry.name: outputs[entry.name] for entry in _remaining(entries) if entry.name in outputs
    }


def _size_inputs(picture: Pixels, entries: Sequence[Entry], limits: _Limits) -> None:
    """Give each entry as large an image as it can afford; time that fast ones leave is shared."""
    height, width, _ = picture.shape
    most_bytes = (memory.available() or 2**31) * _MEMORY_SHARE
    waiting = sorted(_remaining(entries), key=lambda entry: entry.estimate.seconds(height * width))
    runs = limits.rounds + 2  # and the warm-up, where tracing memory slows down Python's loops
    left = limits.end - time.perf_counter()
    for number, entry in enumerate(waiting):
        each = max(left, 0.0) / (len(waiting) - number) / runs
        pixels = entry.estimate.affordable(height * width, each, most_bytes)
        side = math.sqrt(pixels / (height * width))
        # In the image's proportions, as far as a row or column is not wider than that.
        columns = min(width, math.ceil(pixels / math.ceil(height * side)))
        rows = min(height, math.ceil(pixels / columns))
        whole = pixels == height * width
        entry.picture = picture if whole else np.ascontiguousarray(picture[:rows, :columns])
        left -= entry.estimate.seconds(pixels) * runs


def _first_round(
    picture: Pixels,
    entries: Sequence[Entry],
    limits: _Limits,
    changed: Callable[[], None],
    oracle_for: Callable[..., Oracle],
) -> dict[str, Pixels]:
    """Check every entry, and time it if it is right; return the right outputs of full size."""
    outputs: dict[str, Pixels] = {}
    oracles: dict[tuple[int, ...], Oracle] = {}
    # The fastest first: if the budget ends, most of them have a time.
    for entry in sorted(_remaining(entries), key=lambda each: each.estimate.seconds(each.pixels)):
        # The first of a race may take longer than the budget: the table is not to be empty.
        is_needed = limits.is_first and not any(other.times for other in entries)
        deadline = limits.deadline + is_needed * _MOST_BEYOND
        # It runs at least twice: for the check, and for a time.
        if time.perf_counter() + 2 * entry.estimate.seconds(entry.pixels) > deadline:
            entry.verdict = "over budget"
            continue
        shape = entry.picture.shape
        if shape not in oracles:
            trusted = next((oracle.method for oracle in oracles.values()), None)
            oracles[shape] = oracle_for(entry.picture, entry.case.kernel, trusted)
        output = entry.warm_up(oracles[shape])
        if output is not None and shape == picture.shape:
            outputs[entry.name] = output
        if not entry.verdict:
            entry.time()  # at once: an entry that was checked has a time, even past the deadline
        changed()
    return outputs


def _later_rounds(entries: Sequence[Entry], limits: _Limits, changed: Callable[[], None]) -> None:
    """Time the entries again, round by round, as long as the case's share of the budget lasts."""
    for number in range(1, limits.rounds):
        order = sorted(_remaining(entries), key=lambda entry: entry.best)
        for place, entry in enumerate(order):
            now = time.perf_counter()
            if now > limits.deadline:
                return
            # A slow entry sits out a round that it would take from the others.
            left = (limits.end - now) / (limits.rounds - number) / (len(order) - place)
            if entry.times and entry.best <= left:
                entry.time()
                changed()


def _remaining(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries without a verdict, which still run."""
    return [entry for entry in entries if not entry.verdict]
