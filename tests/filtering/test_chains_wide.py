"""Chains with wide blurs, which take the coarser grid: near the stages of scipy.ndimage."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

import convcli
from convcli.filtering import chains
from convcli.running import grid
from convcli.words import BORDERS
from tests.filtering.test_chains import LIMITS, cut
from tests.oracles import assert_same_picture

stage = convcli.stage
PHOTO = data.astronaut()[:130, 100:271]


def blurs(*sigmas, border=None):
    return [stage("blur", sigma=sigma, border=border) for sigma in sigmas]


def scipys(image, *sigmas, border="reflect", truncate=4.0):
    """Return stages of scipy in float64, not rounded."""
    result = image.astype(np.float64)
    for sigma in sigmas:
        result = scipy.ndimage.gaussian_filter(
            result, sigma, mode=border, truncate=truncate, axes=(0, 1)
        )
    return result


def forms(image, several, **options):
    plans = []
    convcli.chain(image, several, on_plan=plans.append, **options)
    return [each.plan.route.form for each in plans[0].stages]


SIGMAS = [("numba", (10, 10, 10)), ("numba", (8, 20, 13)), ("numpy", (2, 10, 1)),
          ("numba", (7, 1.5, 30))]  # fmt: skip


@pytest.mark.parametrize("border", [each for each in BORDERS if each != "constant"])
@pytest.mark.parametrize(("method", "sigmas"), SIGMAS, ids=str)
def test_a_chain_on_the_grid_is_scipys_stages_rounded_once(sigmas, border, method):
    several = blurs(*sigmas, border=border)
    got = convcli.chain(PHOTO, several, method=method)
    assert "decimated" in forms(PHOTO, several)
    assert_same_picture(got, scipys(PHOTO, *sigmas, border=border))
    gaussian = scipys(PHOTO, *sigmas, border=border, truncate=8.0)
    assert np.abs(got - gaussian).max() <= 0.5 + 0.03


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", [(1, 70), (70, 1), (5, 9), (41, 100), (1, 1)], ids=str)
def test_images_that_are_smaller_than_the_grid_reaches(shape, border):
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    wanted = scipys(image, 9, 1, 14, border=border, truncate=8.0)
    got = convcli.chain(image, blurs(9, 1, 14, border=border), method="numba")
    assert np.abs(got - wanted).max() <= 0.5 + (0.1 if border == "constant" else 0.03)


@settings(**LIMITS | {"max_examples": 12})
@given(
    st.lists(
        st.tuples(st.sampled_from([1.5, 6.5, 9, 13, 21]), st.sampled_from(BORDERS[:4])),
        min_size=2, max_size=3,
    ),
    st.tuples(st.integers(1, 150), st.integers(1, 90)),
    st.sampled_from([(1 << 10, 24000, 24), (1 << 15, 120, 60), (1 << 20, 24000, 40)]),
    st.integers(1, 8),
)  # fmt: skip
def test_the_cut_and_the_workers_change_no_bit(pairs, shape, sizes, workers):
    image = np.random.default_rng(shape).integers(0, 256, (*shape, 2), dtype=np.uint8)
    several = [stage("blur", sigma=sigma, border=border) for sigma, border in pairs]
    several.append(ENLARGED)
    how = {"method": "numba", "alpha": "straight"}
    with on_the_grid():
        wanted = convcli.chain(image, several, workers=1, **how)
        with cut(*sizes):
            got = convcli.chain(image, several, workers=workers, **how)
    np.testing.assert_array_equal(got, wanted)


# Enlarged, so that rounding to bytes hides nothing.
ENLARGED = stage("convolve", [[-1, 3, -1]])


def on_the_grid():
    """Take the grid even where what it changes is enlarged."""
    return mock.patch.object(chains, "_MOST_CHANGED", np.inf)


@pytest.mark.parametrize("border", [each for each in BORDERS if each != "constant"])
@pytest.mark.parametrize("sigmas", [(12.7, 12.7, 7), (6.5, 30)], ids=str)
@pytest.mark.parametrize("rows", [29, 101, 330])
def test_the_pieces_between_two_grids_change_no_bit(rows, sigmas, border, monkeypatch):
    image = np.random.default_rng(rows).integers(0, 256, (rows, 40, 2), dtype=np.uint8)
    several, how = [*blurs(*sigmas, border=border), ENLARGED], {"alpha": "straight"}
    with on_the_grid():
        assert "decimated" in forms(image, several, **how)
        wanted = convcli.chain(image, several, method="numba", **how)
        for points, between, moved in [(4, 1 << 10, 0), (12, 1 << 13, 8)]:
            for name, value in [("POINTS", points), ("BETWEEN", between), ("MOVED", moved)]:
                monkeypatch.setattr(grid, f"_{name}", value)
            monkeypatch.setattr(grid, "_LEAST_RUN", 16)
            with cut(1, 24000, 40):
                got = convcli.chain(image, several, method="numba", **how)
            np.testing.assert_array_equal(got, wanted)


def test_between_two_grids_rows_are_made_at_the_edges_alone(monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (1500, 20), dtype=np.uint8)
    by_rows, thin = [], grid.Grid._thin

    def counted(self, below, points, out):
        by_rows.append(points[1] - points[0])
        thin(self, below, points, out)

    monkeypatch.setattr(grid.Grid, "_thin", counted)
    for sigmas, most in [((10, 10), 32), ((7, 20), 32), ((20, 7), 400)]:
        by_rows.clear()
        convcli.chain(image, blurs(*sigmas), method="numba", workers=1)
        assert 0 < sum(by_rows) <= most, sigmas


def test_wrap_above_two_grids_sees_the_same_rows_at_both_ends(monkeypatch):
    """Some are computed from scratch, from the rows below: which of them depends on the cut."""
    monkeypatch.setattr(chains, "float_between", lambda *_: "float32")
    image = np.random.default_rng(400).integers(0, 256, (400, 24, 2), dtype=np.uint8)
    several = blurs(6.4, 6.4)
    several.append(stage("convolve", np.full((301, 1), 1 / 301), border="wrap"))
    several.append(stage("convolve", [[-9000], [18001], [-9000]], border="wrap"))
    with on_the_grid():
        assert forms(image, several, alpha="straight").count("decimated") == 2
        wanted = convcli.chain(image, several, method="numba", workers=1, alpha="straight")
        with cut(1, 24000, 40):
            got = convcli.chain(image, several, method="numba", workers=2, alpha="straight")
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("rows", [1, 20, 40, 90])
def test_each_point_of_a_small_image_is_made_once(rows, monkeypatch):
    made = []
    for name in ("_thin", "_thin_straight"):
        thin = getattr(grid.Grid, name)

        def counted(self, below, points, out, thin=thin):
            made.extend(range(*points))
            thin(self, below, points, out)

        monkeypatch.setattr(grid.Grid, name, counted)
    image = np.random.default_rng(0).integers(0, 256, (rows, 20), dtype=np.uint8)
    convcli.chain(image, blurs(10, 10), method="numba", workers=1)
    assert made
    assert len(made) == len(set(made))


def test_rows_of_the_other_end_do_not_disturb_those_that_follow():
    """Under `wrap` the other end may begin with the row that follows: it was then read twice."""
    image = np.random.default_rng(0).integers(0, 256, (130, 171, 3), dtype=np.uint8)
    for sigmas in [(10, 10, 10), (20, 8)]:
        several = blurs(*sigmas, border="wrap")
        for options in ({}, {"out_dtype": "float32"}):  # on the grid, and not
            with cut(1, 120, 48):
                got = convcli.chain(image, several, method="numba", **options)
            wanted = scipys(image, *sigmas, border="wrap")
            assert np.abs(got - wanted).max() <= 0.53


def test_a_region_of_a_chain_on_the_grid_is_that_of_the_whole():
    several = blurs(10, 1, 7)
    whole = convcli.chain(PHOTO, several)
    part = convcli.chain(PHOTO, several, region="60x50+31+47")
    inside = np.s_[47:97, 31:91]
    np.testing.assert_array_equal(part[inside], whole[inside])


def test_worker_processes_give_the_same():
    several = [*blurs(10, 20, border="wrap"), stage("sharpen")]
    np.testing.assert_array_equal(
        convcli.chain(PHOTO, several, method="tiled", workers=2),
        convcli.chain(PHOTO, several, method="numba", workers=1),
    )


RGBA = np.dstack([PHOTO, PHOTO[..., 0]])


def test_taken_where_samples_stay_bytes_and_for_nothing_else():
    two = blurs(8, 8)
    assert forms(PHOTO, two) == ["decimated"] * 2
    assert forms(PHOTO, [*blurs(10), stage("sharpen"), stage("edge")])[0] == "decimated"
    assert forms(RGBA, two, alpha="straight") == ["decimated"] * 2
    for image, several, options in [
        (PHOTO, two, {"linear": True}),
        (PHOTO, two, {"exact": True}),
        (PHOTO, two, {"out_dtype": "float32"}),
        (PHOTO, two, {"border": "constant"}),
        (PHOTO, [*blurs(8), stage("blur", 8, exact=True)], {}),
        (PHOTO, [stage("blur", 8, truncate=4.0)] * 2, {}),
        (PHOTO, [*two, stage("sharpen", amount=20)], {}),  # it would enlarge the difference
        (PHOTO.astype(np.uint16), two, {}),
        (RGBA, two, {"alpha": "weight"}),
    ]:
        assert "decimated" not in forms(image, several, **options), options
