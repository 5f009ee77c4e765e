"""TIFFs of floats, signed integers and many bands: all their samples in and out, by tifffile."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from convcli import ConvcliError
from convcli.batch.pipeline import Pipeline
from convcli.batch.run import run as run_jobs
from convcli.files.job import Job
from convcli.filtering import filters
from convcli.image import read, write

DTYPES = {"uint8": ";8", "uint16": ";16", "int16": ";16S", "float32": ";32F", "float64": ";64F"}
BIG = "wrote a TIFF of up to 4 GB instead of a BigTIFF"
SIGNED = ("int16", "float32", "float64")

# What is stored: photometric interpretation, extra samples, and the kind of mode that it is.
KINDS = [
    ("minisblack", 5, ("unspecified",) * 4, "5"),
    ("minisblack", 2, ("unspecified",), "2"),
    ("rgb", 5, ("unspecified",) * 2, "5"),
    ("rgb", 3, (), "RGB"),
    ("rgb", 4, ("unassalpha",), "RGBA"),
]
CASES = [
    (*kind, dtype)
    for kind in KINDS
    for dtype in DTYPES
    if kind[3].isdigit() or dtype in SIGNED  # the others are in test_deep.py
]


def samples_of(dtype, channels, shape=(19, 23)):
    noise = np.random.default_rng(5).random((*shape, channels))
    if dtype.startswith("float"):
        return (noise * 2 - 0.7).astype(dtype)
    limits = np.iinfo(dtype)
    return np.rint(limits.min + noise * (limits.max - limits.min)).astype(dtype)


def notes_of(kind, extra):
    """What is noted of samples beside the colours: their meaning is not stated."""
    if not kind.isdigit():
        return ()
    one = len(extra) == 1
    return (
        f"filtered {len(extra)} extra sample{'' if one else 's'} of each pixel as "
        f"{'a band' if one else 'bands'}",
    )


def tiff(samples, photometric, extra, **settings):
    content = io.BytesIO()
    tifffile.imwrite(
        content, samples, photometric=photometric, extrasamples=extra, metadata=None, **settings
    )
    return content.getvalue()


@pytest.mark.parametrize(("photometric", "channels", "extra", "kind", "dtype"), CASES)
def test_all_samples_come_out_as_they_went_in(photometric, channels, extra, kind, dtype):
    samples = samples_of(dtype, channels)
    for settings in (
        {},
        {"compression": "zstd", "predictor": True, "byteorder": ">"},
        {"planarconfig": "separate", "bigtiff": True},
    ):
        stored = samples
        if "planarconfig" in settings:
            stored = np.moveaxis(samples, -1, 0)
        picture = read(tiff(stored, photometric, extra, **{"planarconfig": "contig"} | settings))
        assert picture.mode == kind + DTYPES[dtype]
        assert [note for note in picture.notes if note != BIG] == [*notes_of(kind, extra)]
        np.testing.assert_array_equal(picture.pixels, samples)
        content = io.BytesIO()
        assert set(write(picture, content, "TIFF")) <= {*picture.notes, BIG}
        with tifffile.TiffFile(io.BytesIO(content.getvalue())) as file:
            page = file.pages[0]
            assert page.photometric.name.lower() == photometric
            assert tuple(each.name.lower() for each in page.extrasamples) == extra
            assert page.compression.name.lower() == settings.get("compression", "none")
            np.testing.assert_array_equal(page.asarray(), samples)


@pytest.mark.parametrize(("photometric", "channels", "extra", "kind", "dtype"), CASES)
def test_bands_are_filtered_one_by_one(photometric, channels, extra, kind, dtype, tmp_path):
    samples = samples_of(dtype, channels)
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    path.write_bytes(tiff(samples, photometric, extra, planarconfig="contig"))
    options = {"alpha": "straight", "method": "numpy"}
    pipeline = Pipeline(lambda image, **given: filters.blur(image, 1.0, **given), options)
    (outcome,) = run_jobs([Job(path, target, "TIFF")], pipeline, 1)
    assert (outcome.status, outcome.reason) == ("written", "")
    assert outcome.notes == notes_of(kind, extra)
    wanted = ndimage.gaussian_filter(samples.astype(float), (1, 1, 0), mode="reflect")
    got = tifffile.imread(target)
    assert got.dtype == dtype
    if not dtype.startswith("float"):
        wanted = np.rint(wanted)
    scale = {"float32": 1e-6, "float64": 1e-12}.get(dtype, 1)
    np.testing.assert_allclose(got, wanted, atol=scale)
    assert (np.abs(got - wanted) > scale / 2).mean() < 0.02


def test_edges_of_bands_are_those_of_each(tmp_path):
    samples = samples_of("float32", 5)
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(samples, "minisblack", ("unspecified",) * 4, planarconfig="contig"))
    pipeline = Pipeline(filters.edge, {"method": "numpy"})
    (outcome,) = run_jobs([Job(path, tmp_path / "b.tif", "TIFF")], pipeline, 1)
    assert outcome.mode == "5;32F"
    got = tifffile.imread(tmp_path / "b.tif")
    for band in range(5):
        alone = filters.edge(samples[..., band].copy(), method="numpy")
        np.testing.assert_array_equal(got[..., band], alone)


def test_one_band_of_64_bit_floats_stays_that():
    samples = samples_of("float64", 1)[..., 0]
    picture = read(tiff(samples, "minisblack", ()))
    assert (picture.mode, picture.notes) == ("L;64F", ())
    content = io.BytesIO()
    write(picture, content, "TIFF")
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(content.getvalue())), samples)


def test_linear_light_is_not_known_of_floats(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(samples_of("float32", 3), "rgb", ()))
    pipeline = Pipeline(filters.edge, {"linear": True})
    (outcome,) = run_jobs([Job(path, tmp_path / "b.tif", "TIFF")], pipeline, 1)
    assert "has float colour, and --linear decodes sRGB code values" in outcome.reason


def test_bands_that_no_format_takes_are_refused():
    content = tiff(samples_of("int16", 5), "minisblack", ("unspecified",) * 4)
    with pytest.raises(ConvcliError, match=r"\.npy cannot hold 5 signed 16-bit bands; write TIFF"):
        read(content, "NPY")


@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
@pytest.mark.parametrize("suffix", ["tif", "npy"])
def test_signed_integers_become_floats_if_asked(photometric, suffix, tmp_path, run):
    samples = samples_of("int16", 3)
    extra = () if photometric == "rgb" else ("unspecified",) * 2
    (tmp_path / "a.tif").write_bytes(tiff(samples, photometric, extra, planarconfig="contig"))
    target = tmp_path / f"b.{suffix}"
    options = ("--depth", "float32", "--sigma", "1", "--alpha", "straight")
    assert run("blur", tmp_path / "a.tif", *options, "-o", target).status == 0
    got = tifffile.imread(target) if suffix == "tif" else np.load(target)
    assert got.dtype == np.float32
    wanted = ndimage.gaussian_filter(samples.astype(float), (1, 1, 0), mode="reflect")
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-2)


def test_edges_of_signed_colours_are_floats(tmp_path, run):
    (tmp_path / "a.tif").write_bytes(tiff(samples_of("int16", 3), "rgb", ()))
    assert run("edge", tmp_path / "a.tif", "-o", tmp_path / "b.tif").status == 0
    assert tifffile.imread(tmp_path / "b.tif").dtype == np.float32
