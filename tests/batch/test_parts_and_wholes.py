"""Images filtered in parts from the command line, beside the same filtered whole."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
import tifffile

from convcli import memory

TILES = {"tile": (64, 64), "metadata": None}
MEMORY = ("--memory", "40M")


def grey16(photo):
    return np.tile(photo[..., 0].astype(np.uint16) * 257, (3, 1)), {"photometric": "minisblack"}


def colour(photo):
    return np.tile(photo, (3, 1, 1)), {"photometric": "rgb"}


def with_alpha(photo):
    rgba = np.dstack([photo, photo[..., 1]])
    return np.tile(rgba, (3, 1, 1)), {"photometric": "rgb", "extrasamples": ["unassalpha"]}


def five_bands(photo):
    bands = np.dstack([photo, photo[..., ::-1]])[..., :5].astype(np.float32) / 7
    return np.tile(bands, (3, 1, 1)), {"photometric": "minisblack", "planarconfig": "contig"}


def colours_and_bands(photo):
    return np.tile(np.dstack([photo, photo[..., :2]]), (3, 1, 1)), {
        "photometric": "rgb", "extrasamples": ["unspecified"] * 2,
    }  # fmt: skip


def signed(photo):
    return np.tile(photo[..., 0].astype(np.int16) - 128, (3, 1)), {"photometric": "minisblack"}


def signed_colour(photo):
    return np.tile(photo.astype(np.int16) * 9 - 999, (3, 1, 1)), {"photometric": "rgb"}


def signed_32(photo):
    return np.tile(photo[..., 0].astype(np.int32) * 9999, (3, 1)), {"photometric": "minisblack"}


def lab(photo):
    return np.tile(photo, (3, 1, 1)), {"photometric": "cielab"}


def heights(photo):
    """Heights of a ground, some of which are missing: as GDAL states it, and as NaN."""
    metres = np.tile(photo[..., 0].astype(np.float32) * 3.7, (3, 1))
    metres[100:140, 30:70] = -9999
    metres[900:930, 200:] = np.nan
    return metres, {
        "photometric": "minisblack", "extratags": [(42113, 2, None, "-9999", True)],
    }  # fmt: skip


def all_heights(photo):
    metres = np.tile(photo[..., 0], (3, 1))
    return metres, {"photometric": "minisblack", "extratags": [(42113, 2, None, "-9999", True)]}


CASES = [
    (colour, "blur"),
    (colour, "edge --linear"),
    (colour, "filter -k box:5 --stride 3"),
    (colour, "blur --depth 16"),
    (colour, "edge --depth float32 --show x"),
    (colour, "blur --nodata 0"),
    (colour, "chain 'blur -s 2 | sharpen -s 1.5 --amount 0.8 | edge'"),
    (colour, "chain 'blur -s 2 --border wrap | sharpen -s 1.5' --linear --border mirror"),
    (with_alpha, "blur"),
    (with_alpha, "edge --alpha keep"),
    (with_alpha, "chain 'blur | sharpen -s 1'"),
    (grey16, "chain 'blur -s 2 | filter -k laplacian --bias 999' --depth 8"),
    (five_bands, "blur"),
    (five_bands, "edge --border wrap"),
    (five_bands, "chain 'blur | edge'"),
    (colours_and_bands, "blur -s 1"),
    (colours_and_bands, "edge"),
    (signed, "blur"),
    (signed, "filter -k laplacian"),
    (signed_colour, "blur --depth float32"),
    (signed_colour, "edge"),
    (signed_32, "blur"),
    (lab, "blur"),
    (heights, "blur"),
    (heights, "blur --nan keep"),
    (heights, "chain 'blur | sharpen -s 1'"),
    (heights, "sharpen --nodata -9999 -s 2"),
    (all_heights, "blur -s 20"),
]


@pytest.mark.parametrize(("make", "words"), CASES, ids=lambda each: getattr(each, "__name__", each))
def test_parts_equal_the_whole(make, words, run, tmp_path, photo, monkeypatch):
    pixels, settings = make(photo[:, :301])
    tifffile.imwrite(tmp_path / "a.tif", pixels, **TILES, **settings)
    command, *options = shlex.split(words)
    chain = options[:1] if command == "chain" else []
    said = []
    monkeypatch.setattr(memory, "held", int)
    for name, more in (("whole.tif", ()), ("parts.tif", MEMORY)):
        argv = [command, *chain, tmp_path / "a.tif", *options[len(chain) :]]
        done = run(*argv, "-o", tmp_path / name, "--json", "-m", "numpy", *more)
        assert done.status == 0, done.err
        said.append(json.loads(done.out))
    with (
        tifffile.TiffFile(tmp_path / "whole.tif") as whole,
        tifffile.TiffFile(tmp_path / "parts.tif") as parts,
    ):
        assert (whole.is_bigtiff, parts.is_bigtiff) == (False, True)
        (first, *_), (other, *_) = whole.pages, parts.pages
        assert (first.photometric, first.extrasamples) == (other.photometric, other.extrasamples)
        assert parts.asarray().dtype == whole.asarray().dtype
        np.testing.assert_array_equal(parts.asarray(), whole.asarray())
    for key in ("mode", "left_out", "width", "height"):
        assert said[0][key] == said[1][key], key
    notes = [[note for note in each["notes"] if "no-data" in note] for each in said]
    assert notes[0] == notes[1]
