"""Clashes, found before any work: two results for one file, or a result that replaces an input."""

from __future__ import annotations

import os
from functools import cache
from itertools import pairwise

from convcli.errors import ConvcliError, shown
from convcli.files import places
from convcli.files.job import Job
from convcli.files.places import case_folded, file_id, real_path


def check_clashes(jobs: list[Job]) -> None:
    """Raise `ConvcliError` for two inputs with one output, also if the disk ignores case."""
    hashes = [_hash(real_path(job.target_name)) for job in jobs if job.target_name is not None]
    hashes.sort()
    repeated = {one for one, other in pairwise(hashes) if one == other}
    ignores_case = cache(places.ignores_case)
    first: dict[str, Job] = {}
    for job in jobs if repeated else ():
        if job.target_name is None or job.source_name is None:
            continue
        place = real_path(job.target_name)
        if _hash(place) not in repeated:
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
