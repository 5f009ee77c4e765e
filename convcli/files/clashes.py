"""Clashes, found before any work: two results for one file, or a result that replaces an input."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import pairwise

from convcli.errors import ConvcliError, shown
from convcli.files import places
from convcli.files.job import Existing, Job
from convcli.files.many import repeated
from convcli.files.places import case_folded, file_id, real_path


def check_clashes(jobs: list[Job]) -> None:
    """Raise `ConvcliError` for two inputs with one output, also if the disk ignores case."""
    hashes = [_hash(real_path(job.target_name)) for job in jobs if job.target_name is not None]
    hashes.sort()
    _check_repeated({one for one, other in pairwise(hashes) if one == other}, jobs)


def divided(jobs: Iterable[Job]) -> list[Job]:
    """Return a job for each file that is written, and those that write none."""
    return [
        part
        for job in jobs
        for part in [Job(job.source_name, name, job.format) for name in job.outputs] or [job]
    ]


def check_many(jobs: Iterable[Job], again: Callable[[], Iterable[Job]], existing: Existing) -> None:
    """Check jobs as `check_clashes` and `check_inputs_stay` do, of which none are held.

    Parameters
    ----------
    jobs : iterable of Job
        The jobs.
    again : callable
        Lists them again.
    existing : str
        What to do with outputs that exist.
    """
    ids = array("q")
    looks = existing in ("refuse", "overwrite", "newer")

    def hashes() -> Iterator[int]:
        for job in jobs:
            for name in job.outputs:
                place = real_path(name)
                if looks and (here := file_id(place)) is not None:
                    ids.append(hash(here))
                yield _hash(place)

    if found := repeated(hashes()):
        _check_repeated(found, divided(again()))
    known = {*ids}
    if ids and any(hash(file_id(job.source_name)) in known for job in again() if job.source_name):
        check_inputs_stay(divided(again()))


def _check_repeated(hashes: set[int], jobs: list[Job]) -> None:
    """Raise `ConvcliError` for two jobs with one output, whose hash is one of these."""
    ignores_case = cache(places.ignores_case)
    first: dict[str, Job] = {}
    for job in jobs if hashes else ():
        if job.target_name is None or job.source_name is None:
            continue
        place = real_path(job.target_name)
        if _hash(place) not in hashes:
            continue
        name = case_folded(place) if ignores_case(os.path.dirname(place)) else place
        other = first.setdefault(name, job)
        if other is not job:
            assert other.source_name is not None
            assert other.target_name is not None
            if real_path(other.source_name) == real_path(job.source_name):
                raise ConvcliError(
                    f"{shown(other.source_name)} and {shown(job.source_name)} are the same file; "
                    "name it once"
                )
            same = real_path(other.target_name) == place
            why = "" if same else ", because the file system ignores case"
            raise ConvcliError(
                f"{shown(other.source_name)} and {shown(job.source_name)} would both be written to "
                f"{shown(job.target_name)}{why}; filter them in two runs with different outputs"
            )


def _hash(place: str) -> int:
    """Return a number of 32 bytes instead of a path, the same for other cases and normal forms.

    Paths with equal hashes may still differ.
    """
    return hash(case_folded(place)) % 2**60


def check_inputs_stay(jobs: list[Job]) -> None:
    """Raise `ConvcliError` for an output that is an input, under any name."""
    # By its real path, because a folder in it may not have been made yet: ``new/../name``.
    found = (file_id(real_path(job.target_name)) for job in jobs if job.target_name is not None)
    ids = {hash(one) for one in found if one is not None}
    for job in jobs if ids else ():
        here = None if job.source_name is None else file_id(job.source_name)
        if here is None or hash(here) not in ids:
            continue
        for other in jobs:
            source, target = other.source_name, other.target_name
            if source is None or target is None or file_id(real_path(target)) != here:
                continue
            if file_id(source) == here:
                raise ConvcliError(
                    f"{shown(target)} is both input and output; to replace it, use --in-place "
                    "without -o"
                )
            raise ConvcliError(
                f"the result of {shown(source)} would replace {shown(target)}, which is also an "
                "input; name fewer inputs or choose another -o"
            )
