"""--cluster: what cannot be spread over a cluster, and what its workers are given."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convcli.cluster import connecting
from convcli.errors import ConvcliError

if TYPE_CHECKING:
    from convcli.cli.options import Shared
    from convcli.files.many import Jobs

# How many columns and rows share a sample of chroma, in the layouts of y4m.
_CHROMA = ((1, 1), (2, 1), (4, 1), (1, 2), (2, 2))

Maker = Callable[[Any], Any]
"""See `convcli.cli.pipeline.Maker`."""


def check(shared: Shared, jobs: Jobs) -> None:
    """Refuse what cannot be spread over a cluster."""
    assert shared.cluster is not None
    connecting.check(shared.cluster)
    held = jobs if isinstance(jobs, list) else ()  # many are files
    if any(not job.problem and None in (job.source_name, job.target_name) for job in held):
        raise ConvcliError(
            "--cluster reads and writes files that its workers can see; name the inputs, and a "
            "file or folder with -o"
        )
    if shared.in_place:
        raise ConvcliError(
            "--in-place and --cluster cannot be used together: what a lost worker has done is done "
            "again, and its results would be filtered twice; write to another folder with -o"
        )
    if shared.workers is not None:
        raise ConvcliError(
            "--workers and --cluster cannot be used together: the threads of its workers are used; "
            "leave --workers out"
        )
    if shared.preview:
        raise ConvcliError("--preview and --cluster cannot be used together; leave one out")


def for_workers(shared: Shared, makers: tuple[Maker, ...]) -> tuple[Shared, tuple[Maker, ...]]:
    """Return options and filters that do not depend on the folder, or on files of kernels.

    They are sent along with each batch, so that names of inputs are left out. A mask, which is as
    large as an image, is read there.
    """
    mask = None if shared.mask is None else type(shared.mask)(os.path.abspath(shared.mask))
    return replace(shared, inputs=None, mask=mask), tuple(map(_made, makers))


def _made(make: Maker) -> Maker:
    """Return what gives a filter that is made here, for images and for all kinds of chroma."""
    table = {shared_by: make(shared_by) for shared_by in (None, *_CHROMA)}
    return table.get
