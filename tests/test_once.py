"""Values that each object computes once, and children that are forked meanwhile."""

from __future__ import annotations

import os
import threading

import pytest

from convcli.once import cached_property


class Slow:
    def __init__(self):
        self.counted = 0
        self.is_begun, self.may_end = threading.Event(), threading.Event()

    @cached_property
    def value(self):
        self.counted += 1
        self.is_begun.set()
        assert self.may_end.wait(10)
        return 7


def test_a_value_is_computed_once():
    slow = Slow()
    slow.may_end.set()
    assert [slow.value, slow.value, slow.counted] == [7, 7, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_is_forked_while_a_thread_computes_a_value_need_not_wait():
    slow = Slow()
    thread = threading.Thread(target=lambda: slow.value)
    thread.start()
    try:
        assert slow.is_begun.wait(10)
        child = os.fork()
        if not child:
            threading.Timer(5, os._exit, [1]).start()
            other = Slow()
            other.may_end.set()
            os._exit(other.value != 7)
    finally:
        slow.may_end.set()
        thread.join()
    assert os.waitpid(child, 0)[1] == 0
