"""The outcome of a job of a batch, for reports."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Literal, NamedTuple

from convcli.files.job import Job

if TYPE_CHECKING:
    from convcli.banks.plan import BankPlan
    from convcli.planning.chains import ChainPlan
    from convcli.planning.plan import Plan

Status = Literal["written", "shown", "failed", "skipped", "not tried"]

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors that the next image would meet as well: the disk or the quota is full, or read-only."""


class Timing(NamedTuple):
    """Seconds of reading, filtering or writing an image with all its frames, and a remark."""

    name: str
    predicted: float
    measured: float
    remark: str = ""


class Outcome(NamedTuple):
    """The outcome of a job.

    Attributes
    ----------
    job : Job
        The job.
    status : str
        "shown" if the image was filtered and not written; "not tried" if there was no room for
        its output.
    reason : str
        Why it failed or was not tried, in one line.
    error : BaseException or None
        The exception behind a failure.
    seconds : float
        Time from opening the input to closing the output; where the image was read while the
        program was loaded, without the rest of the loading.
    size, result_size : (int, int)
        Width and height of the image, and of the result.
    pixels : int
        Pixels that were filtered, of all frames together.
    mode : str
        The mode of the result.
    frames : int
        Frames or pages that were filtered.
    plan : Plan, ChainPlan, BankPlan or None
        The plan of the first frame.
    notes : tuple of str
        What was dropped or changed.
    timings : tuple of Timing
        Of reading, filtering and writing.
    light : str
        The transfer function of linear light and what states it; empty without `linear`.
    left_out : int or None
        How many samples were missing, and so left out of every sum; None if that was not asked
        for.
    parts : tuple of (str, str)
        What there is to say of an image that was filtered in parts, each under a word.
    """

    job: Job
    status: Status
    reason: str = ""
    error: BaseException | None = None
    seconds: float = 0.0
    size: tuple[int, int] = (0, 0)
    result_size: tuple[int, int] = (0, 0)
    pixels: int = 0
    mode: str = ""
    frames: int = 1
    plan: Plan | ChainPlan | BankPlan | None = None
    notes: tuple[str, ...] = ()
    timings: tuple[Timing, ...] = ()
    light: str = ""
    left_out: int | None = None
    parts: tuple[tuple[str, str], ...] = ()

    @property
    def megapixels(self) -> float:
        """Pixels that were filtered, in millions."""
        return self.pixels / 1e6
