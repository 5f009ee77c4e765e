"""A cluster in this process."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="package")
def address():
    """A scheduler and two workers in this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1",
        dashboard_address=":0", silence_logs=50,
    ) as cluster:  # fmt: skip
        yield cluster.scheduler_address
