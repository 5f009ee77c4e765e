"""The word of --cluster: an address, a scheduler file, or workers that are started here."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convcli.errors import ConvcliError, inert, lacks_memory, reason_of, shown

if TYPE_CHECKING:
    from distributed import Client

# The longest time until a scheduler answers and has a worker.
PATIENCE_SECONDS = 5

# How much later than Dask the program gives up itself.
_GRACE_SECONDS = 1

# The longest time that saying goodbye takes: the scheduler may be gone.
_GOODBYE_SECONDS = 2

_MOST_WORKERS = 1000

# What Dask sets for the workers that it starts: how much freed memory the C library of Linux keeps.
_TRIM = "MALLOC_TRIM_THRESHOLD_"

# The longest time until an interruption or the loss of the scheduler is noticed.
LOOK_SECONDS = 0.1

# The longest time that a result takes from its worker: an interruption waits for it.
_RESULT_SECONDS = 1.0

# The longest time without any worker: they may be started again, as a nanny does.
GONE_SECONDS = 60.0

# How often the threads of the cluster are counted.
_COUNT_SECONDS = 2.0


def check(where: str) -> None:
    """Raise `ConvcliError` for a word that names no cluster, and without the package."""
    _kind(where)
    _package()


@contextmanager
def connected(where: str) -> Iterator[Client]:
    """Connect to a cluster, or start one here, and leave it at the end.

    Raises
    ------
    ConvcliError
        If no scheduler answers within 5 s, or it has no worker.
    """
    distributed = _package()
    kind, value = _kind(where)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ports that are taken, and of other versions
        started = _started(distributed, int(value)) if kind == "local" else None
        try:
            with _answering(where):
                client = _client_of(distributed, started or value)
            try:
                with _answering(where, "it has no workers; start one with: dask worker"):
                    client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
                yield client
            finally:
                with suppress(Exception):  # it may be gone
                    client.close(timeout=_GOODBYE_SECONDS)
        finally:
            if started:
                with suppress(Exception):
                    started.close(timeout=_GOODBYE_SECONDS)


def lost(client: Client, threads: Threads) -> str:
    """Return what is lost of the cluster, and what to do; nothing if it is there."""
    if str(client.status) != "running":  # and with it what is known of the tasks at work
        return "the connection to the scheduler was lost; run again with --skip-existing"
    if threads.are_gone():
        return (
            f"the cluster had no workers for {GONE_SECONDS:.0f} s; start some, and run again with "
            "--skip-existing"
        )
    return ""


def result_of(future: Any) -> Any:
    """Return what a task has returned, or raise its error.

    None is returned if it is not known yet, because a worker is silent or the scheduler gone.
    """
    try:
        return future.result(timeout=_RESULT_SECONDS)
    except Exception:  # a task's own error may be a TimeoutError, too
        if future.status == "error":
            raise
        time.sleep(LOOK_SECONDS)
        return None


class Threads:
    """The threads of a cluster, counted now and then: workers come and go."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known, self._counted = 1, -_COUNT_SECONDS
        self._gone_since: float | None = None

    def count(self) -> int:
        """Return how many there are, at least 1."""
        now = time.monotonic()
        if now - self._counted > _COUNT_SECONDS:
            with suppress(Exception):  # the scheduler may be gone, which shows elsewhere
                there = sum(self._client.nthreads().values())
                self._known = max(1, there)
                self._gone_since = None if there else self._gone_since or now
            self._counted = now
        return self._known

    def are_gone(self) -> bool:
        """Return whether there were none for long."""
        return self._gone_since is not None and self._counted - self._gone_since > GONE_SECONDS


def _client_of(distributed: Any, address: Any) -> Client:
    """Connect in another thread: Dask waits for ever for a program that accepts and is silent."""
    made: Future[Client] = Future()

    def connect() -> None:
        try:
            made.set_result(
                distributed.Client(address, timeout=PATIENCE_SECONDS, set_as_default=False)
            )
        except BaseException as error:
            made.set_exception(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        return made.result(PATIENCE_SECONDS + _GRACE_SECONDS)
    except TimeoutError as error:
        raise TimeoutError(f"it did not answer for {PATIENCE_SECONDS} s") from error


@contextmanager
def _answering(where: str, missing: str = "") -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of many kinds
        # The answer of another server is read as the size of a message.
        why = "something else answers there" if lacks_memory(error) else reason_of(error)
        reason = missing or f"no scheduler answers there ({why})"
        raise ConvcliError(f"--cluster {where}: {reason}") from error


def _started(distributed: Any, workers: int) -> Any:
    """Start workers on this machine: processes of one thread each, and no dashboard.

    Dask's server for its pages starts all the same: on a free port, for programs here.
    """
    import dask

    # Without certificates every user of this machine could run code as this one.
    security = {"security": True} if find_spec("cryptography") else {}
    # Dask makes its workers give memory back at once: for an image of a megapixel the system clears
    # 1,300 pages again each time, a sixth of the processor time (Intel Xeon).
    name = "distributed.nanny.pre-spawn-environ"
    kept = {each: value for each, value in dask.config.get(name).items() if each != _TRIM}
    with dask.config.set({name: kept}):
        return distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, memory_limit=0,
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"}, **security,
        )  # fmt: skip


def _kind(where: str) -> tuple[str, str]:
    """Return what a word means: ("local", number) or ("address", address)."""
    if where.startswith("local:"):
        number = where.removeprefix("local:")
        if not (re.fullmatch("[0-9]{1,9}", number) and 1 <= int(number) <= _MOST_WORKERS):
            raise ConvcliError(
                f"--cluster local:N starts N workers here, 1 to {_MOST_WORKERS}, not {number!r}"
            )
        return "local", number
    if re.fullmatch(r"[a-z]+://\S+", where):
        return "address", where
    if os.path.isfile(where):
        try:
            return "address", json.loads(Path(where).read_bytes())["address"]
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise ConvcliError(
                f"--cluster {shown(where)} is no scheduler file ({reason_of(error)}); "
                "dask scheduler --scheduler-file NAME writes one"
            ) from error
    raise ConvcliError(
        f"--cluster {shown(where)} is no scheduler file; name one, an address such as "
        "tcp://host:8786, or local:N for N workers here"
    )


def _package() -> Any:
    try:
        # What it logs is reported as well; lost workers are Dask's business.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        package = import_module("distributed")
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
    except Exception as error:
        raise ConvcliError(
            f"--cluster needs the package distributed, which cannot be imported "
            f"({reason_of(error)}); install the extra 'cluster'"
        ) from error
    return package


def check_workers(client: Client, problem_here: Callable[..., str], *arguments: Any) -> None:
    """Raise `ConvcliError` with the names of workers that cannot do the jobs."""
    found: dict[str, Any] = client.run(problem_here, *arguments, on_error="return")
    problems: dict[str, list[str]] = {}
    for worker, problem in found.items():
        if isinstance(problem, BaseException):  # a worker sends what it cannot load as text
            missing = "No module named 'convcli" in str(problem)
            problem = "has no convcli" if missing else f"cannot run convcli: {inert(str(problem))}"
        if problem:
            problems.setdefault(problem, []).append(worker)
    if problems:
        raise ConvcliError(
            "; ".join(
                f"worker {', '.join(workers)} {problem}" for problem, workers in problems.items()
            )
        )
