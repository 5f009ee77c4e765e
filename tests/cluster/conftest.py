"""A cluster in this process."""

from __future__ import annotations

import pytest

from convcli import memory


@pytest.fixture(scope="package")
def address():
    """A scheduler and two workers in this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1",
        silence_logs=50, scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
    ) as cluster:  # fmt: skip
        yield cluster.scheduler_address
    memory.keep_below(None)  # as its workers have asked
