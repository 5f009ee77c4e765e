"""One image over the workers of a cluster: each task computes and writes a region of the result.

Names and numbers travel, and pixels do not: a worker reads what a region needs, and writes it.
"""

from __future__ import annotations

import pickle
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, cast

import cloudpickle

import convcli
from convcli.cluster.connecting import LOOK_SECONDS, Threads, lost, result_of
from convcli.cluster.work import allowed, room_of
from convcli.errors import ConvcliError
from convcli.loops.compiled import apart
from convcli.running.regional import Regional
from convcli.running.works import Work
from convcli.sources.contract import Put, Region, Result, Size
from convcli.sources.windows import Tiles

if TYPE_CHECKING:
    from distributed import Client, Future

# Tasks for each thread of the cluster: one at work, and some that wait.
_AHEAD = 3

# Bytes of the tiles that a worker keeps of an image.
_KEPT = 1 << 26


class Orders(NamedTuple):
    """What a worker needs to know, the same for all regions of a result.

    Attributes
    ----------
    regional : Regional
        What computes a region.
    shape : (int, int)
        Rows and columns of the result.
    put : callable
        Writes a region.
    memory : int, optional
        The value of --memory.
    run : str
        A name of this run alone: a worker remembers an image by its orders, and what lies under the
        same path may have changed since an earlier run.
    """

    regional: Regional
    shape: Size
    put: Put
    memory: int | None
    run: str


class Image(NamedTuple):
    """An image that a worker has opened, for all its threads."""

    orders: Orders
    work: Work
    tiles: Tiles
    bytes_for: Callable[[Region], int]


def made_elsewhere(
    client: Client,
    threads: Threads,
    memory: int | None,
    result: Result,
    regions: Sequence[Region],
    put: Put,
    on_look: Callable[[], None],
) -> Iterator[tuple[Region, int]]:
    """Let the workers of a cluster compute and write regions: see `convcli.batch.pipeline.InParts`.

    Regions of lost workers are tried alone at the end, one at a time: others that waited on these
    workers may be the reason, or a script that ends workers.

    Raises
    ------
    OSError
        If the cluster is lost, or each worker that tries a region alone: what is done stays.
    """
    from distributed import KilledWorker  # loaded by now

    assert isinstance(result.regional, Regional)
    run = uuid.uuid4().hex
    orders = cloudpickle.dumps(Orders(result.regional, result.shape[:2], put, memory, run))
    waiting = iter(regions)
    alone: deque[Region] = deque()
    is_last = False
    at_work: dict[str, tuple[Future, Region]] = {}
    finished: SimpleQueue[Future] = SimpleQueue()

    def send(region: Region) -> None:
        future = client.submit(done, orders, convcli.__version__, region, pure=False)
        at_work[future.key] = future, region
        future.add_done_callback(finished.put)

    try:
        while True:
            on_look()
            # Fewer than are at work may be wanted, when workers are lost.
            for region in islice(waiting, max(0, _AHEAD * threads.count() - len(at_work))):
                send(region)
            if not at_work:
                if not alone:
                    return
                is_last = True
                send(alone.popleft())
            try:
                future = finished.get(timeout=LOOK_SECONDS)
            except Empty:
                future = None
            if problem := lost(client, threads):
                raise OSError(problem)
            if future is None:
                continue
            try:
                left_out = missing_in(future)
            except KilledWorker as error:
                if is_last:
                    raise OSError("each worker that tried one of its parts died") from error
                alone.append(at_work.pop(future.key)[1])
                continue
            if left_out is None:
                finished.put(future)
                continue
            yield at_work.pop(future.key)[1], left_out
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.cancel([future for future, _ in at_work.values()])


def missing_in(future: Future) -> int | None:
    """Return what a task has counted, or raise its error.

    None is returned if it is not known yet, because a worker is silent or the scheduler gone.
    """
    if future.status == "cancelled":
        raise OSError("was cancelled on the cluster")
    return cast("int | None", result_of(future))


def done(orders: bytes, version: str, region: Region) -> int:
    """Compute and write a region, on a worker; return how many samples of it are missing."""
    if version != convcli.__version__:
        raise ConvcliError(f"was sent to a worker with convcli {convcli.__version__}")
    (regional, shape, put, asked, _), work, tiles, bytes_for = _image(orders)
    asked = allowed(asked)
    size = region[0][1] - region[0][0], region[1][1] - region[1][0]
    with room_of(asked).shared() as take, apart.wanted(asked is not None):
        take(bytes_for(region) + _kept(asked), f" for a part of {size[1]} x {size[0]} pixels")
        put(region, regional.of(work, tiles, region))
        return regional.count(tiles, region, shape)


@lru_cache(maxsize=1)  # images are done one after the other
def _image(orders: bytes) -> Image:
    given: Orders = pickle.loads(orders)  # noqa: S301 - clients of a worker can run any code there
    stored, work = given.regional.opened()
    bytes_for = partial(given.regional.bytes_for, work, stored)
    # Regions that lie side by side need the same tiles.
    return Image(given, work, Tiles(stored, _kept(allowed(given.memory))), bytes_for)


def _kept(asked: int | None) -> int:
    return _KEPT if asked is None else min(_KEPT, asked // 4)
