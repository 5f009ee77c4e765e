"""Filters of dask arrays: equal to those of whole arrays to the bit, whatever the chunks."""

from __future__ import annotations

import pickle
from functools import partial
from importlib.util import find_spec
from itertools import pairwise

import dask
import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import convcli
from convcli.errors import ConvcliError
from convcli.words import BORDERS

KERNEL = np.random.default_rng(3).normal(size=(6, 9))
LARGE = np.random.default_rng(3).normal(size=(35, 42)) / 100

FILTERS = {
    "blur": ("blur", {"sigma": 1.5}),
    "blur of two widths": ("blur", {"sigma": (0.8, 2.5)}),
    "blur wider than chunks": ("blur", {"sigma": 6.0}),
    "blur by a coarser grid": ("blur", {"sigma": (7.0, 14.0)}),
    "edge": ("edge", {}),
    "edge x": ("edge", {"show": "x", "sigma": 1.1, "out_dtype": "float32"}),
    "angle": ("edge", {"show": "angle"}),
    "sharpen": ("sharpen", {"sigma": 1.2, "amount": 2.0, "threshold": 3.0}),
    "convolve": ("convolve", {"kernel": KERNEL, "correlate": True, "bias": 9}),
    "transforms": ("convolve", {"kernel": LARGE, "method": "fft"}),
    "linear": ("blur", {"sigma": 1.5, "linear": True}),
    "keep alpha": ("edge", {"alpha": "keep"}),
}

# One method, named: `auto` may choose another for the second of two calls, once loops are compiled.
FILTERS = {
    name: (verb, {"method": "numpy", **options}) for name, (verb, options) in FILTERS.items()
}

LAYOUTS = {"yx": None, "zyx": None, "tzyx": None, "yxc": -1, "cyx": 0, "zcyx": 1, "zyxc": 3}
"""Names of the axes, and the channel axis."""


def of_planes(verb, array, axis, **options):
    """Filter every plane as a whole."""
    last = array[..., np.newaxis] if axis is None else np.moveaxis(array, axis, -1)
    outer = last.shape[:-3]
    planes = last.reshape(-1, *last.shape[-3:])
    made = np.stack([verb(plane, channels=True, **options) for plane in planes])
    if made.ndim == 3:  # the luminance
        made = made if axis is not None and array.shape[axis] > 1 else made[..., np.newaxis]
    if made.ndim == 3:
        return made.reshape(*outer, *made.shape[1:])
    made = made.reshape(*outer, *made.shape[1:])
    return made[..., 0] if axis is None else np.moveaxis(made, -1, axis)


@st.composite
def cases(draw):
    verb, options = FILTERS[draw(st.sampled_from([*FILTERS]))]
    layout = draw(st.sampled_from([*LAYOUTS]))
    sides = {"t": 2, "z": 3, "c": draw(st.integers(1, 5))}
    sides |= {"y": draw(st.integers(1, 70)), "x": draw(st.integers(1, 70))}
    shape = tuple(sides[axis] for axis in layout)
    dtype = draw(st.sampled_from(["uint8", "uint16", "float32", "float64", ">f4"]))
    array = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 256, shape).astype(dtype)
    chunks = tuple(cut(draw, side) for side in shape)
    border = draw(st.sampled_from(BORDERS))
    value = draw(st.sampled_from([0.0, 7.0])) if border == "constant" else 0.0
    return (
        verb,
        {**options, "border": border, "border_value": value},
        array,
        chunks,
        LAYOUTS[layout],
    )


def cut(draw, side):
    """Chunks of an axis, of uneven lengths; now and then one."""
    ends = draw(st.sets(st.integers(1, side), max_size=4)) - {side}
    bounds = [0, *sorted(ends), side]
    return tuple(end - start for start, end in pairwise(bounds))


@settings(deadline=None, max_examples=40)
@given(cases())
def test_the_result_is_that_of_the_whole_to_the_bit(case):
    verb, options, array, chunks, axis = case
    expected = of_planes(getattr(convcli, verb), array, axis, **options)
    given_array = da.from_array(array, chunks=chunks)
    lazy = getattr(convcli.dask, verb)(given_array, channel_axis=axis, **options)
    result = lazy.compute(scheduler="sync")
    assert lazy.dtype == result.dtype == expected.dtype
    assert lazy.shape == result.shape
    if verb == "edge" and axis is not None and array.dtype.itemsize < 8:
        # A luminance in float32 is a product of BLAS, whose rounding depends on its length.
        most = 1 if array.dtype.kind == "u" else 1e-4
        np.testing.assert_allclose(np.float64(result), np.float64(expected), rtol=0, atol=most)
    else:
        np.testing.assert_array_equal(result, expected)
    others = [at for at in range(array.ndim) if axis is None or at != axis % array.ndim]
    kept = [sizes for at, sizes in enumerate(lazy.chunks) if lazy.ndim < array.ndim or at in others]
    assert kept == [chunks[at] for at in others]


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_is_right_across_chunks(name, border, dtype, photo):
    """Of bytes too, for which there are ways of their own."""
    verb, options = FILTERS[name]
    options = {**options, "border": border, "border_value": 0.0 if border != "constant" else 77.0}
    array = photo[200:323, 100:291].astype(dtype)
    lazy = getattr(convcli.dask, verb)(
        da.from_array(array, chunks=((31, 2, 90), (70, 50, 71), 3)), channel_axis=2, **options
    )
    expected = of_planes(getattr(convcli, verb), array, 2, **options)
    most = 1 if verb == "edge" else 0  # see above
    difference = np.abs(np.float64(lazy.compute()) - np.float64(expected))
    assert difference.max() <= most


@pytest.mark.parametrize(("dtype", "most"), [("uint8", 1 / 255), ("float64", 1e-12)])
def test_compiled_loops_are_right_to_rounding(dtype, most, photo):
    """They add the ends of rows in another order than their middle."""
    array = photo[200:323, 100:291, 0].astype(dtype)
    chunks = da.from_array(array, chunks=((31, 2, 90), (70, 50, 71)))
    got = convcli.dask.blur(chunks, 1.5, method="numba").compute()
    expected = convcli.blur(array, 1.5, method="numba")
    np.testing.assert_allclose(np.float64(got), np.float64(expected), rtol=0, atol=255 * most)


ORACLES = {
    "scipy": lambda array, sigma, border: ndimage.gaussian_filter(
        array, sigma, mode=border, truncate=4.0
    ),
    "scipy kernel": lambda array, sigma, border: ndimage.convolve(array, KERNEL, mode=border),
}
if find_spec("dask_image"):
    from dask_image import ndfilters

    def by_dask_image(array, sigma, border):
        return ndfilters.gaussian_filter(da.from_array(array, chunks=40), sigma, mode=border)

    ORACLES["dask-image"] = by_dask_image


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("oracle", ORACLES)
def test_the_result_is_that_of_others(oracle, border):
    if (oracle, border) == ("dask-image", "wrap"):
        return  # its borders are those of chunks there (2026.5.0)
    array = np.random.default_rng(0).random((83, 71))
    given_array = da.from_array(array, chunks=(30, 19))
    if oracle == "scipy kernel":
        lazy = convcli.dask.convolve(given_array, KERNEL, border=border)
    else:
        lazy = convcli.dask.blur(given_array, 3.1, border=border)
    expected = np.asarray(ORACLES[oracle](array, 3.1, border))
    np.testing.assert_allclose(lazy.compute(), expected, atol=1e-12)


def tasks_of(lazy):
    """How many tasks remain when Dask has fused what it can."""
    keys = [*dask.core.flatten(lazy.__dask_keys__())]
    graph = lazy.__dask_optimize__(lazy.__dask_graph__(), keys)
    return sum(type(task).__name__ == "Task" for task in graph.values())


def test_there_are_about_two_tasks_a_chunk():
    chunks = da.random.default_rng(0).random((2500, 2500), chunks=100, dtype="float32")
    for lazy, most in (
        (convcli.dask.blur(chunks, 3.0, method="numpy"), 2.0),
        (
            convcli.dask.blur(chunks * 2, 3.0, method="numpy") + 1,
            2.0,
        ),  # fused with what is before and after
        (convcli.dask.convolve(chunks, LARGE, method="fft"), 2.1),
    ):
        assert tasks_of(lazy) <= most * 625
        assert len(pickle.dumps(lazy.__dask_graph__().to_dict())) < 2_000 * 625


def test_a_chunk_is_computed_from_its_neighbours_alone():
    chunks = da.random.default_rng(0).random((1000, 1000), chunks=100)
    for border, needed in (("reflect", 4), ("wrap", 9)):
        corner = convcli.dask.blur(chunks, 3.0, border=border, method="numpy").blocks[0, 0]
        assert tasks_of(corner) == needed + 1


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (partial(convcli.dask.blur, np.zeros((3, 3))), r"type ndarray; .*convcli.blur"),
        (partial(convcli.dask.edge, da.zeros((3, 3)), stretch=True), "stretch needs the whole"),
        (partial(convcli.dask.edge, da.zeros((3, 3)), canny=(1, 2)), "canny needs the whole"),
        (partial(convcli.dask.blur, da.zeros((3, 3), dtype=int)), "has dtype int64; it must"),
        (partial(convcli.dask.blur, da.zeros(3)), r"array has shape \(3,\); .* at least 2 axes"),
        (partial(convcli.dask.blur, da.zeros((3, 3)), channel_axis=0), "at least 3 axes"),
        (partial(convcli.dask.blur, da.zeros((3, 0))), "not be empty"),
        (partial(convcli.dask.blur, da.zeros((3, 3, 3)), channel_axis=3), "from -3 to 2, not 3"),
        (partial(convcli.dask.blur, da.zeros((3, 3, 3)), channel_axis="c"), "channel_axis .*'c'"),
        (partial(convcli.dask.blur, da.ma.masked_equal(da.zeros((3, 3)), 0)), "type MaskedArray"),
        (partial(convcli.dask.blur, da.zeros((3, 3)), -1), "sigma"),
        (partial(convcli.dask.blur, da.zeros((3, 3)), border="edge"), "unknown border 'edge'"),
    ],
)  # fmt: skip
def test_what_cannot_be_filtered_is_refused(call, reason):
    with pytest.raises(ConvcliError, match=reason):
        call()


def test_an_array_of_unknown_lengths_is_refused():
    array = da.zeros((6, 6), chunks=2)
    with pytest.raises(ConvcliError, match="of known lengths"):
        convcli.dask.blur(array[array[:, 0] > 0])


def test_options_that_dask_decides_are_unknown():
    with pytest.raises(TypeError, match="unknown option 'workers'; the options are border"):
        convcli.dask.blur(da.zeros((3, 3)), workers=2)


def test_without_dask_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dask.array", None)
    with pytest.raises(
        ConvcliError, match=r"needs the package dask, .* install the extra 'cluster'"
    ):
        convcli.dask.blur(np.zeros((3, 3)))
