"""Frames of a stream: in order, several at a time, no more held than needed."""

from __future__ import annotations

import threading
from functools import partial
from queue import Queue

import pytest

from convcli import pools
from convcli.batch import frames
from convcli.batch.frames import in_order


def waited_for(events, frame, number):
    """Do not finish before those after it have begun, but for the last ones."""
    events[frame].set()
    if frame + 1 < len(events):
        assert events[frame + 1].wait(10) or frame % 2
    return frame, number


def test_several_are_at_work_and_come_out_in_order():
    events = [threading.Event() for _ in range(4)]
    made = list(in_order(iter(range(4)), partial(waited_for, events), 1, 4))
    assert made == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_a_result_does_not_wait_for_the_next_frame():
    camera = Queue()
    results = in_order(iter(camera.get, None), lambda frame, _: frame.upper(), 0, 3)
    for letter in "abcdefgh":
        camera.put(letter)
        assert next(results) == letter.upper()
    camera.put(None)
    assert list(results) == []


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_no_more_frames_are_read_than_have_room(at_once):
    read = []

    def source():
        for number in range(1000):
            read.append(number)
            yield number

    results = in_order(source(), lambda frame, _: frame, 0, at_once)
    for number in range(20):
        assert next(results) == number
        assert len(read) <= number + 1 + 2 * at_once + 1
    results.close()
    assert len(read) < 100


def failing(at):
    yield from range(at)
    raise OSError("the camera broke")


@pytest.mark.parametrize("at", [0, 1, 7])
def test_what_came_before_an_error_is_handed_on(at):
    made = []
    with pytest.raises(OSError, match="broke"):  # noqa: PT012
        for each in in_order(failing(at), lambda frame, _: frame, 0, 2):
            made.append(each)  # noqa: PERF402
    assert made == list(range(at))
    made = []
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        for each in in_order(iter(range(9)), lambda frame, _: 1 / (frame - at), 0, 3):
            made.append(each)
    assert made == [1 / (number - at) for number in range(at)]


def noted():
    yield 1
    return ("a note",)


@pytest.mark.parametrize("allowed", [True, False])
def test_what_the_frames_return_is_returned(allowed, monkeypatch):
    if not allowed:

        def refuse(_):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(frames, "start", refuse)
        monkeypatch.setattr(pools, "start", refuse)
    results = in_order(noted(), lambda frame, number: (frame, number), 3, 2)
    assert next(results) == (1, 3)
    with pytest.raises(StopIteration) as end:
        next(results)
    assert end.value.value == ("a note",)
