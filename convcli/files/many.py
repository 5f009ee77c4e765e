"""Jobs that are too many to be held: they are listed again whenever they are gone through."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator

from convcli.files.job import Job

# Up to so many jobs are held, which take 50 MB at most.
MOST_HELD = 100_000


class ManyJobs:
    """Jobs by what lists them, which gives them in the same order each time.

    Attributes
    ----------
    formats : set of (str or None)
        The formats of the outputs.
    """

    def __init__(
        self, listed: Callable[[], Iterator[Job]], count: int, formats: set[str | None]
    ) -> None:
        self._listed, self._count, self.formats = listed, count, formats

    def __len__(self) -> int:
        """Return how many were listed first; there may be more or fewer by now."""
        return self._count

    def __iter__(self) -> Iterator[Job]:
        return self._listed()


Jobs = list[Job] | ManyJobs
"""Jobs that are held, or listed again."""


class Rest:
    """Jobs that are taken one after the other."""

    def __init__(self, jobs: ManyJobs) -> None:
        self._jobs, self._left = iter(jobs), len(jobs)
        self._ahead = next(self._jobs, None)

    def __len__(self) -> int:
        """Return about how many are left; 0 if none is."""
        return 0 if self._ahead is None else max(self._left, 1)

    def __iter__(self) -> Iterator[Job]:
        while self:
            yield self.popleft()

    def popleft(self) -> Job:
        """Take the first."""
        job = self._ahead
        if job is None:
            raise IndexError
        self._ahead, self._left = next(self._jobs, None), self._left - 1
        return job


def repeated(numbers: Iterable[int]) -> set[int]:
    """Return the numbers that come more than once; each takes 8 bytes meanwhile.

    >>> repeated([3, 1, 3, 2])
    {3}
    """
    import numpy as np  # which a run of so many images needs in any case

    every = np.frombuffer(array("q", numbers), np.int64).copy()
    every.sort()
    return {*every[1:][every[1:] == every[:-1]].tolist()} if every.size else set()
