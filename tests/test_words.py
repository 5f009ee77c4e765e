"""How lists, numbers and times are written."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from convcli.words import digits, duration, listed, ratio

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


@pytest.mark.parametrize(
    ("words", "sentence"), [(("a",), "a"), (("a", "b"), "a or b"), (("a", "b", "c"), "a, b or c")]
)
def test_lists(words, sentence):
    assert listed(words) == sentence


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0.0, "0"),
        (1.23e-7, "1.23e-07"),
        (0.5, "0.5"),
        (217.0, "217"),
        (999.7, "1,000"),
        (65535.0, "65,535"),
        (float("inf"), "inf"),
    ],
)
def test_digits(number, words):
    assert digits(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0.00391, "0.0039"),
        (1, "1"),
        (1.25, "1.2"),
        (9.96, "10"),
        (256, "260"),
        (1.5e6, "1,500,000"),
    ],
)
def test_ratios(number, words):
    assert ratio(number) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 us"),
        (2.5e-6, "2.5 us"),
        (0.9999e-3, "1 ms"),
        (0.0123456, "12.3 ms"),
        (0.9994, "999 ms"),
        (0.9999, "1 s"),
        (59.96, "60 s"),
        (1234.4, "1234 s"),
        (5551.2, "5551 s"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


@given(st.floats(1e-10, 1e12))
@example(0.9995)
@example(0.0009995)
@example(0.9995 * 1e-3)
@example(0.09995)
@example(999.5)
def test_a_duration_is_what_it_says(seconds):
    words = duration(seconds)
    number, unit = words.split()
    assert "e" not in number
    assert float(number) * UNITS[unit] == pytest.approx(seconds, rel=0.01)
    assert float(number) < 1000 or unit == "s"
    assert float(number) >= 1 or unit == "us"
    assert sum(each.isdigit() for each in number.lstrip("0.")) <= max(3, len(str(round(seconds))))
