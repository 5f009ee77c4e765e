"""Banks as stages of chains, against scipy.ndimage and the maps of the bank itself."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
from skimage import data

import convcli
from convcli import ConvcliError
from convcli.banks.bank import bank_of
from convcli.banks.maps import Wish, bank_from, maps_for
from convcli.pixels.colour import luminance
from convcli.words import BORDERS
from tests.oracles import assert_same_picture

stage = convcli.stage
PHOTO = data.astronaut()[60:157, 150:281]  # (97, 131, 3)
RNG = np.random.default_rng(0)

# What a stage is given, besides its bank.
IMAGES = {
    "one kernel": (RNG.normal(0, 0.3, (5, 7)), {}),
    "even sides": (RNG.normal(0, 0.3, (4, 2)), {}),
    "dilated": (RNG.normal(0, 0.3, (1, 1, 2, 3)), {"dilation": 3}),
    "a stride": (RNG.normal(0, 0.3, (1, 3, 3)), {"stride": 3}),
    "a rectifier": (RNG.normal(0, 0.3, (3, 4)), {"relu": True}),
    "energies": ("gabor:1,1", {"energy": True}),
    "energies of each colour": ("gabor:1,1", {"energy": True, "groups": 3, "stride": 2}),
    "one for all colours": (np.repeat(RNG.normal(0, 0.3, (1, 1, 3, 3)), 3, 0), {"groups": 3}),
    "depthwise": (RNG.normal(0, 0.3, (3, 1, 3, 2)), {"groups": 3, "relu": True}),
    "mixing": (RNG.normal(0, 0.3, (3, 3, 3, 3)), {}),
    "mixing alike": (np.full((3, 3, 2, 2), 1 / 12), {}),
}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("border", BORDERS)
def test_a_stage_makes_the_maps_of_its_bank(name, border):
    bank, wish = IMAGES[name]
    before = scipy.ndimage.gaussian_filter(PHOTO.astype(float), 1, mode=border, axes=(0, 1))
    chosen = bank_from(bank) if isinstance(bank, str) else bank_of(bank, "weights")
    maps = maps_for(chosen, Wish(**wish, border=border))
    channels = before if maps.channels == 3 else luminance(before)
    wanted = np.stack(maps.of(np.moveaxis(channels, 2, 0)), axis=2)
    wanted = wanted if maps.channels == 3 else wanted[..., 0]
    several = [stage("blur", 1), stage("bank", bank, **wish)]
    for method in ("numba", "numpy", "fft"):
        got = convcli.chain(PHOTO, several, border=border, method=method)
        assert_same_picture(got, wanted)


def test_energies_are_the_root_of_scipys_squares():
    grey = PHOTO[..., 0].astype(float)
    even, odd = (kernel[0] for kernel in bank_from("gabor:1,1").weights)
    wanted = np.hypot(
        *(scipy.ndimage.correlate(grey, each, mode="reflect") for each in (even, odd))
    )
    for several in ([], [stage("convolve", [[1.0]])]):
        many = [*several, stage("bank", "gabor:1,1", energy=True)]
        assert_same_picture(convcli.chain(PHOTO[..., 0], many), wanted)


def test_maps_are_signed_between_stages():
    weights = [[1.0, 0, -1]]
    image = PHOTO[..., 1].astype(float)
    got = convcli.chain(
        PHOTO[..., 1], [stage("bank", weights), stage("blur", 2)], out_dtype="float64"
    )
    slopes = scipy.ndimage.correlate1d(image, weights[0], mode="reflect")
    np.testing.assert_allclose(got, scipy.ndimage.gaussian_filter(slopes, 2), atol=1e-3)
    assert got.min() < -1


@pytest.mark.parametrize("alpha", ["keep", "weight"])
def test_an_alpha_stays(alpha):
    image = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 200, np.uint8)])
    image[:9, :9, 3] = 255
    several = [stage("bank", RNG.uniform(0, 0.2, (3, 1, 3, 3)), groups=3), stage("blur", 0.5)]
    got = convcli.chain(image, several[:1] * 2, alpha=alpha)
    np.testing.assert_array_equal(got[..., 3], image[..., 3])
    inside = convcli.chain(PHOTO, several[:1] * 2)[20:, 20:].astype(float)
    opacity = (200 / 255) ** 2 if alpha == "weight" else 1  # kernels of several sums
    np.testing.assert_allclose(got[20:, 20:, :3], inside * opacity, atol=1)


REFUSED = {
    "it makes 4 maps of 1 channel (4px-0deg-even, 4px-0deg-odd, 4px-90deg-even, ...)": (
        "gabor:2,1", {},
    ),
    "it makes 2 maps of 1 channel (first-30deg, second-30deg)": ("steerable:2", {"angle": 30}),
    "it makes 3 maps of 1 channel (level-1, level-2, smooth)": ("starlet:2", {}),
    "it makes 1 map of 3 channels (1)": (np.ones((1, 3, 2, 2)), {}),
    "unknown bank 'nothing'": ("nothing", {}),
    "--energy needs quadrature pairs": (np.ones((3, 3)), {"energy": True}),
    "groups must be": (np.ones((3, 3)), {"groups": 0}),
    "relu must be True or False": (np.ones((3, 3)), {"relu": 3}),
    "bank weights holds NaN": ([[np.nan]], {}),
    "it takes bank, layer, angle": (np.ones((3, 3)), {"pool": 2}),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_what_makes_no_image_is_refused(message):
    bank, wish = REFUSED[message]
    with pytest.raises(ConvcliError) as caught:
        stage("bank", bank, **wish)
    assert message in str(caught.value)


@pytest.mark.parametrize("before", [[], [stage("edge")]])
def test_other_channels_are_refused(before):
    image = PHOTO if before else PHOTO[..., 0]
    with pytest.raises(
        ConvcliError, match="the bank takes 3 channels, but it gets 1; use one of 1"
    ):
        convcli.chain(image, [*before, stage("bank", "gabor:1,1", energy=True, groups=3)])
