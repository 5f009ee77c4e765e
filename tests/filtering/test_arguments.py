"""Whatever is wrong with an argument is a `ConvcliError` with a sentence that names it."""

from __future__ import annotations

import datetime
import decimal
import fractions
import inspect
import warnings

import numpy as np
import pytest

import convcli
from convcli import ConvcliError
from convcli.filtering.options import DEFAULTS
from convcli.pixels.transfer import Transfer

IMAGE = np.random.default_rng(0).random((5, 6)).astype(np.float32)


class Rude:
    """An object of which nothing can be asked."""

    def __array__(self, *_arguments, **_options):
        raise RuntimeError("no")

    def __float__(self):
        raise KeyError("no")

    def __repr__(self):
        raise OSError("no")

    def __iter__(self):
        raise BufferError("no")


ODD = {
    "None": None,
    "text": "2",
    "empty text": "",
    "bytes": b"2",
    "list": [1],
    "texts": ["reflect"],
    "ragged": [[1.0, 2.0], [3.0]],
    "empty list": [],
    "dict": {1: 2},
    "set": {1},
    "complex": 1 + 2j,
    "nan": float("nan"),
    "inf": float("inf"),
    "-inf": float("-inf"),
    "huge": 10**400,
    "-huge": -(10**400),
    "long": 2**70,
    "minus one": -1,
    "zero": 0,
    "half": 0.5,
    "True": True,
    "fraction": fractions.Fraction(1, 3),
    "decimal": decimal.Decimal("sNaN"),
    "object": object(),
    "rude": Rude(),
    "type": np.float32,
    "date": datetime.date(2000, 1, 1),
    "generator": (n for n in ()),
    "array": np.arange(3.0),
    "matrix": np.ones((2, 2)),
    "volume": np.ones((8, 8, 8)),
    "empty array": np.zeros((0, 4)),
    "0-d": np.array(2.0),
    "0-d object": np.array(None),
    "0-d complex": np.array(1j),
    "objects": np.array([[None, 1], ["a", 2]], dtype=object),
    "texts array": np.array([["a", "b"]]),
    "dates": np.array([["2000-01-01"]], "M8[D]"),
    "spans": np.array([[3]], "m8[s]"),
    "structured": np.zeros((2, 2), [("a", "f4"), ("b", "u1")]),
    "booleans": np.ones((2, 2), bool),
    "integers": np.ones((2, 2), np.int64),
    "half floats": np.ones((2, 2), np.float16),
    "long doubles": np.ones((2, 2), np.longdouble),
    "masked": np.ma.masked_array(np.ones((2, 2)), [[0, 1], [0, 0]]),
    "masked scalar": np.ma.masked,
    "nan text": np.str_("nan"),
    "dtype": np.dtype("f4"),
    "newline": "re\nflect",
}
CALLS = {
    "blur": (convcli.blur, {"image": IMAGE}),
    "edge": (convcli.edge, {"image": IMAGE}),
    "sharpen": (convcli.sharpen, {"image": IMAGE}),
    "convolve": (convcli.convolve, {"image": IMAGE, "kernel": [[1.0]]}),
    "chain": (
        convcli.chain,
        {"image": IMAGE, "stages": [convcli.stage("blur"), convcli.stage("edge")]},
    ),
    "plan": (convcli.plan, {"shape": (9, 9), "dtype": "uint8", "kernel": [[1.0]]}),
    "gaussian_kernel": (convcli.gaussian_kernel, {}),
}


def parameters(function):
    """Name all arguments, those of `Options` included."""
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            yield from DEFAULTS
        else:
            yield parameter.name


ARGUMENTS = [(name, each) for name, (call, _) in CALLS.items() for each in parameters(call)]


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_an_odd_value_is_taken_or_refused_by_name(name, argument):
    call, given = CALLS[name]
    border = {"border": "constant"} if argument == "border_value" else {}
    for odd, value in ODD.items():  # a test for each would be 3,700 of them
        if callable(value) and argument.startswith(("on_", "carry_out")):
            continue  # what a callback raises is its own
        message = argument
        with warnings.catch_warnings(), np.errstate(all="raise"):
            warnings.simplefilter("error")
            try:
                call(**{**given, **border, argument: value})
            except ConvcliError as error:
                message = str(error)
            except Exception as error:
                pytest.fail(f"{odd}: {type(error).__name__}")
        assert argument.replace("_", " ") in message.replace("_", " "), odd
        assert message.isprintable(), odd
        assert len(message) < 300, odd


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: convcli.blur([[1.0, 2.0], [3.0]], 1.0), "image .* rows may differ in length"),
        (lambda: convcli.blur(IMAGE, "3"), "sigma must be one number or two .* not '3'"),
        (lambda: convcli.blur(IMAGE, (1, 2, 3)), r"not \(1, 2, 3\)"),
        (lambda: convcli.blur(IMAGE, workers="2"), "workers must be a number, not '2'"),
        (lambda: convcli.blur(IMAGE, workers=10**400), "workers must be .* not inf"),
        (lambda: convcli.blur(IMAGE, border=["reflect"]), r"unknown border \['reflect'\]; it must"),
        (lambda: convcli.blur(IMAGE, border_value=None), "border_value must be a number, not None"),
        (
            lambda: convcli.blur(IMAGE, border_value=np.ones(2)),
            r"border_value must be a number, not an array of shape \(2,\)",
        ),
        (lambda: convcli.convolve(IMAGE, [[1]], bias="1"), "bias must be a number, not '1'"),
        (lambda: convcli.sharpen(IMAGE, 1.0, None), "amount must be a number, not None"),
        (lambda: convcli.blur(IMAGE, truncate="4"), "truncate must be a number, not '4'"),
        (lambda: convcli.edge(IMAGE, ["sobel"]), "unknown operator"),
        (lambda: convcli.edge(IMAGE, stretch="no"), "stretch must be True or False, not 'no'"),
        (lambda: convcli.blur(IMAGE, linear=np.ones(2)), "linear must be True or False"),
        (lambda: convcli.blur(IMAGE, on_plan=3), "on_plan must be a function or None, not 3"),
        (lambda: convcli.plan((3, 10**400), "uint8", [[1]]), "too large for any memory"),
    ],
)  # fmt: skip
def test_messages_name_the_argument_and_the_value(call, message):
    with pytest.raises(ConvcliError, match=message):
        call()


@pytest.mark.parametrize("verb", [convcli.blur, convcli.edge, convcli.sharpen])
def test_a_masked_array_is_refused_with_what_to_do(verb):
    masked = np.ma.masked_array(IMAGE, IMAGE > 0.5)
    with pytest.raises(ConvcliError, match=r"masked array.*image\.filled\(0\).*image\.data"):
        verb(masked)
    assert verb(masked.data).shape == IMAGE.shape
    with pytest.raises(ConvcliError, match="masked array"):
        convcli.convolve(IMAGE, np.ma.masked_array([[1.0]], [[False]]))


@pytest.mark.parametrize("verb", [convcli.blur, convcli.edge, convcli.sharpen])
@pytest.mark.parametrize("shape", [(8, 8, 8), (3, 4, 5), (2, 2, 100)])
def test_more_than_four_channels_must_be_asked_for(verb, shape):
    image = np.ones(shape, np.float32)
    with pytest.raises(ConvcliError, match=r"may be a volume.*channels=True"):
        verb(image)
    with pytest.raises(ConvcliError, match=r"may be a volume.*channels=True"):
        convcli.plan(shape, "uint8", [[1]])
    assert verb(image, channels=True).shape[:2] == shape[:2]
    assert "method" in str(convcli.plan(shape, "uint8", [[1]], channels=True))


def test_channels_are_filtered_alike():
    image = np.random.default_rng(1).random((9, 8, 7))
    result = convcli.blur(image, 1.0, channels=True)
    for channel in range(7):
        np.testing.assert_allclose(result[..., channel], convcli.blur(image[..., channel], 1.0))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_up_to_four_channels_need_no_word(channels):
    assert convcli.blur(np.ones((5, 5, channels)), 1.0).shape == (5, 5, channels)


def test_a_list_of_masked_rows_is_refused():
    row = np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0])
    with pytest.raises(ConvcliError, match="masked array"):
        convcli.blur([row, row])


def test_what_only_looks_like_a_source_is_refused():
    class Dataset:
        def window(self):
            return None

    with pytest.raises(ConvcliError, match="answers windows, but"):
        convcli.blur(Dataset())


def test_transfer_functions_without_an_inverse_are_refused():
    for transfer in (Transfer("x", 0.0), Transfer("x", "y")):
        with pytest.raises(ConvcliError, match="no inverse"):
            convcli.blur(IMAGE, linear=transfer)
