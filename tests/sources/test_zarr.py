"""Zarr arrays and OME-Zarr images: planes, levels, codecs, damage."""

from __future__ import annotations

import errno
import json
import os
from functools import partial

import numpy as np
import pytest
import zarr
from scipy import ndimage

from convcli import memory
from convcli.errors import ConvcliError
from convcli.files.job import Request
from convcli.files.walking import inputs_of
from convcli.files.writing import new_folder
from convcli.filtering import filters
from convcli.sources.zarr_writing import Record

blur, edge = (partial(each, method="numpy") for each in (filters.blur, filters.edge))

SMALL = ("--memory", "3M")


@pytest.fixture
def run(run):
    """Methods may differ by a level: `auto` takes another one once loops are compiled."""
    return lambda *argv: run(*argv, "--method", "numpy")


def stack(shape=(2, 3, 150, 170), dtype=np.uint16):
    return np.random.default_rng(0).integers(0, 4000, shape).astype(dtype)


def image_file(path, version, pixels, levels=3, order="tczyx"):
    """An OME-Zarr image as bioformats2raw (0.4) or ome-zarr-py (0.5) lays it out."""
    group = zarr.open_group(path, mode="w", zarr_format=version)
    axes = [{"name": name, "type": "space"} for name in order[-pixels.ndim :]]
    datasets = []
    for level in range(levels):
        step = 2**level
        array = group.create_array(
            str(level), shape=pixels[..., ::step, ::step].shape, dtype=pixels.dtype,
            chunks=(*[1] * (pixels.ndim - 2), 64, 48),
            **({"chunk_key_encoding": {"name": "v2", "separator": "/"}} if version == 2 else {}),
        )  # fmt: skip
        array[...] = pixels[..., ::step, ::step]
        scale = [*[1.0] * (pixels.ndim - 2), float(step), float(step)]
        transform = [{"type": "scale", "scale": scale}]
        datasets.append({"path": str(level), "coordinateTransformations": transform})
    scales = [{"axes": axes, "datasets": datasets, "name": "nuclei", "version": "0.4"}]
    omero = {"channels": [{"color": "FF0000"}]}
    attributes = {"multiscales": scales, "omero": omero}
    group.attrs.put(attributes if version == 2 else {"ome": {"version": "0.5", **attributes}})
    group.create_group("labels")
    return path


def blurred(pixels, **options):
    planes = pixels.reshape(-1, *pixels.shape[-2:])
    return np.stack([blur(plane, **options) for plane in planes]).reshape(pixels.shape)


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch):
    """What the process of the tests holds is not counted."""
    monkeypatch.setattr(memory, "held", int)


@pytest.mark.parametrize("version", [2, 3])
def test_an_ome_zarr_keeps_its_metadata_and_its_levels_are_made_again(version, run, tmp_path):
    pixels = stack()
    path = image_file(tmp_path / "a.zarr", version, pixels)
    done = run("blur", path, "-o", tmp_path / "b.zarr", "--sigma", 2, *SMALL)
    assert done.status == 0, done.err
    assert "dropped 'labels' beside the image" in done.err
    before, after = zarr.open_group(path), zarr.open_group(tmp_path / "b.zarr")
    assert dict(after.attrs) == dict(before.attrs)
    above = blurred(pixels, sigma=2)
    np.testing.assert_array_equal(after["0"][...], above)
    for level in ("1", "2"):
        assert after[level].metadata == before[level].metadata
        for place in np.ndindex(2, 3):
            smooth = ndimage.gaussian_filter(above[place].astype(float), 2 / 3)
            np.testing.assert_allclose(after[level][place], smooth[::2, ::2], atol=0.51)
        above = after[level][...]
    assert sorted(os.listdir(tmp_path)) == ["a.zarr", "b.zarr"]


def test_levels_that_are_not_half_as_large_are_dropped_and_noted(run, tmp_path):
    path = image_file(tmp_path / "a.zarr", 3, stack((100, 120)), levels=2)
    group = zarr.open_group(path)
    group.create_array("1", shape=(30, 40), dtype="uint16", chunks=(30, 40), overwrite=True)
    done = run("blur", path, "-o", tmp_path / "b.zarr")
    assert "dropped the levels '1', which are not half as large" in done.err
    (scales,) = zarr.open_group(tmp_path / "b.zarr").attrs["ome"]["multiscales"]
    assert [each["path"] for each in scales["datasets"]] == ["0"]


ARRAYS = {
    "version 2": {"zarr_format": 2, "chunks": (1, 50, 40), "fill_value": 9},
    "version 3": {"chunks": (2, 33, 44), "dimension_names": ["z", "y", "x"]},
    "shards": {"chunks": (1, 16, 16), "shards": (1, 64, 48), "fill_value": 5},
    "big-endian": {"chunks": (1, 50, 40), "serializer": "big"},
    "a missing chunk": {"chunks": (1, 50, 40), "fill_value": 77},
}


@pytest.mark.parametrize("name", ARRAYS)
def test_every_plane_of_an_array_is_filtered(name, run, tmp_path):
    settings = dict(ARRAYS[name])
    if settings.get("serializer"):
        settings["serializer"] = zarr.codecs.BytesCodec(endian="big")
    array = zarr.create_array(
        str(tmp_path / "a.zarr"), shape=(3, 100, 130), dtype="float32", **settings
    )
    array[...] = np.random.default_rng(0).random((3, 100, 130))
    if name == "a missing chunk":
        (tmp_path / "a.zarr/c/1/0/2").unlink()
    pixels = array[...]
    done = run(
        "blur",
        tmp_path / "a.zarr",
        "-o",
        tmp_path / "b.zarr",
        "--border",
        "wrap",
        *SMALL,
    )
    assert done.status == 0, done.err
    result = zarr.open_array(tmp_path / "b.zarr", mode="r")
    np.testing.assert_array_equal(result[...], blurred(pixels, border="wrap"))
    assert result.metadata == array.metadata


@pytest.mark.parametrize("fill", [0, 7])
@pytest.mark.parametrize("shards", [None, (20, 40)])
def test_chunks_of_nothing_but_the_fill_value_are_left_out(fill, shards, run, tmp_path):
    pixels = np.full((60, 80), fill, np.uint8)
    pixels[:20] += 1  # all of a row of chunks is another number
    pixels[20, 0] += 9  # a chunk begins with one, and another ends with one
    pixels[59, 79] += 9
    source = zarr.create_array(
        str(tmp_path / "a.zarr"), shape=pixels.shape, dtype="uint8", chunks=(20, 20),
        shards=shards, fill_value=fill,
    )  # fmt: skip
    source[...] = pixels
    done = run("filter", tmp_path / "a.zarr", "-o", tmp_path / "b.zarr", "-k", "1", *SMALL)
    assert done.status == 0, done.err
    files = [sorted(p.name for p in (tmp_path / f"{n}.zarr/c").rglob("*")) for n in "ab"]
    assert files[0] == files[1]
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "b.zarr", mode="r")[...], pixels)


def test_colour_is_written_with_its_axis_and_read_so_again(run, tmp_path, photo):
    np.save(tmp_path / "a.npy", photo)
    assert run("blur", tmp_path / "a.npy", "-o", tmp_path / "b.zarr", "-s", 1).status == 0
    array = zarr.open_array(tmp_path / "b.zarr", mode="r")
    assert array.metadata.dimension_names == ("y", "x", "c")
    np.testing.assert_array_equal(array[...], blur(photo, sigma=1))
    assert run("edge", tmp_path / "b.zarr", "-o", tmp_path / "c.zarr").status == 0
    edges = zarr.open_array(tmp_path / "c.zarr", mode="r")[...]
    np.testing.assert_array_equal(edges[..., 0], edge(blur(photo, sigma=1)))


def test_planes_become_the_pages_of_a_tiff(run, tmp_path):
    import tifffile

    pixels = stack((3, 60, 70))
    zarr.create_array(str(tmp_path / "a.zarr"), data=pixels, chunks=(1, 30, 30))
    assert run("blur", tmp_path / "a.zarr", "-o", tmp_path / "b.tif").status == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), blurred(pixels))


def spoiled(path, name):
    """Damage an array or image of (2, 3, 150, 170), and return what is said."""
    if name == "an unreadable chunk":
        (path / "0/c/1/2/1/3").write_bytes(b"\xff" * 50)
        return "chunk (1, 2, 1, 3) of '0' cannot be read: "
    if name == "a chunk of another size":
        shorter = zarr.create_array(str(path.parent / "c.zarr"), data=np.ones(7, np.uint16))
        content = (path.parent / "c.zarr/c/0").read_bytes()
        (path / "0/c/0/0/0/0").write_bytes(content)
        assert shorter.shape == (7,)
        return "chunk (0, 0, 0, 0) of '0' cannot be read: "
    text = (path / "0/zarr.json").read_text()
    if name == "an unknown codec":
        (path / "0/zarr.json").write_text(text.replace('"zstd"', '"fractal"'))
        return "fractal"
    if name == "a group that is no image":
        attributes = json.loads((path / "zarr.json").read_text())
        attributes["attributes"] = {}
        (path / "zarr.json").write_text(json.dumps(attributes))
        return "is a zarr group, not an image: it has no multiscales metadata; it holds '0'"
    if name == "a level that is missing":
        (path / "0").rename(path / "other")
        return "its array '0'"
    (path / "zarr.json").write_text("{")
    return "cannot be read"


@pytest.mark.parametrize(
    "name",
    [
        "an unreadable chunk",
        "a chunk of another size",
        "an unknown codec",
        "a group that is no image",
        "a level that is missing",
        "metadata cut short",
    ],
)
def test_damage_is_one_line_and_nothing_is_written(name, run, tmp_path):
    path = image_file(tmp_path / "a.zarr", 3, stack())
    expected = spoiled(path, name)
    done = run("blur", path, "-o", tmp_path / "out/b.zarr")
    assert done.status == 1
    assert expected in done.message
    assert "a.zarr" in done.message
    assert not (tmp_path / "out").exists() or os.listdir(tmp_path / "out") == []


def test_an_output_inside_its_input_is_refused(run, tmp_path):
    path = image_file(tmp_path / "a.zarr", 3, stack((40, 50)))
    done = run("blur", path / "0", "-o", path / "0" / "b.zarr")
    assert done.status == 1
    assert "is inside it; choose another -o" in done.message


def test_only_a_zarr_is_replaced(run, tmp_path):
    path = image_file(tmp_path / "a.zarr", 3, stack((40, 50)))
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "thesis.txt").write_text("all of it")
    run("blur", path, "-o", tmp_path / "b.zarr", "-f")
    assert "thesis.txt" in os.listdir(tmp_path / "b.zarr")
    first = tmp_path / "c.zarr"
    for more in ([], ["-f"], ["--skip-existing"]):
        assert run("blur", path, "-o", first, *more).status == 0
    assert "exists" in run("blur", path, "-o", first).message


def test_a_walk_finds_zarr_images_and_does_not_look_into_them(tmp_path):
    image_file(tmp_path / "in/deeper/a.zarr", 2, stack((40, 50)))
    request = Request("blur", (str(tmp_path / "in"),), recursive=True)
    assert [each.relative for each in inputs_of(request, print)] == ["deeper/a.zarr"]


SHARDED = {"chunks": (1, 16, 64), "shards": (1, 64, 128)}


def interrupted(run, tmp_path, monkeypatch, error, after=4):
    """Filter a stack, and end when so many rows of shards are written; return its planes."""
    pixels = np.random.default_rng(0).integers(0, 4000, (2, 250, 200)).astype(np.uint16)
    if not (tmp_path / "a.zarr").exists():
        zarr.create_array(str(tmp_path / "a.zarr"), data=pixels, **SHARDED)
    added = []

    def add(self, *done, original=Record.add):
        original(self, *done)
        added.append(done)
        if len(added) == after:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(Record, "add", add)
        done = run("blur", tmp_path / "a.zarr", "-o", tmp_path / "b.zarr")
        assert done.status == 1
    assert not (tmp_path / "b.zarr").exists()
    return pixels


def counted(monkeypatch):
    """Return a list of what is written from now on."""
    added = []
    monkeypatch.setattr(
        Record, "add", lambda self, *done, add=Record.add: (added.append(done), add(self, *done))
    )
    return added


def test_a_run_that_was_interrupted_goes_on_where_it_ended(run, tmp_path, monkeypatch):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    pixels = interrupted(run, tmp_path, monkeypatch, full, after=6)
    (hidden,) = (path for path in tmp_path.iterdir() if path.name.startswith(".convcli-"))
    (hidden / "c" / "0" / "torn.partial").write_bytes(b"half a shard")
    added = counted(monkeypatch)
    argv = ("blur", tmp_path / "a.zarr", "-o", tmp_path / "b.zarr")
    assert run(*argv, "--skip-existing").status == 0
    assert [(place, rows) for _, place, rows in added] == [((1,), 192), ((1,), 250)]
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "b.zarr")[...], blurred(pixels))
    assert sorted(os.listdir(tmp_path)) == ["a.zarr", "b.zarr"]
    assert not [*(tmp_path / "b.zarr").rglob("*.partial")]
    assert not (tmp_path / "b.zarr/.convcli-done").exists()


@pytest.mark.parametrize("change", ["sigma", "input", "no option"])
def test_other_work_begins_anew(change, run, tmp_path, monkeypatch):
    pixels = interrupted(run, tmp_path, monkeypatch, OSError(errno.EIO, "broken"))
    more = {"sigma": ["-s", "1", "--skip-existing"], "no option": []}.get(
        change, ["--skip-existing"]
    )
    if change == "input":
        pixels = pixels[::-1].copy()
        zarr.create_array(str(tmp_path / "a.zarr"), data=pixels, overwrite=True, **SHARDED)
    added = counted(monkeypatch)
    done = run("blur", tmp_path / "a.zarr", "-o", tmp_path / "b.zarr", *more)
    assert done.status == 0
    assert len(added) == 8
    expected = blurred(pixels, sigma=1) if change == "sigma" else blurred(pixels)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "b.zarr")[...], expected)
    assert sorted(os.listdir(tmp_path)) == ["a.zarr", "b.zarr"]


@pytest.mark.parametrize("goes_on", [True, False])
def test_two_runs_do_not_write_to_one_folder(goes_on, tmp_path):
    target = tmp_path / "b.zarr"
    with new_folder(target, mark="a-b") as folder:
        (folder / "zarr.json").write_text("{}")
        with pytest.raises(ConvcliError, match="is being written by another run"):
            new_folder(target, mark="a-b", goes_on=goes_on).__enter__()
        assert os.listdir(folder) == ["zarr.json"]
    assert os.listdir(target) == ["zarr.json"]


def test_nothing_stays_where_the_input_is_damaged(run, tmp_path, monkeypatch):
    interrupted(run, tmp_path, monkeypatch, ConvcliError("chunk 7 cannot be read"))
    assert os.listdir(tmp_path) == ["a.zarr"]


@pytest.mark.parametrize("levels", [1, 3])
def test_an_image_goes_on_at_any_of_its_levels(levels, run, tmp_path, monkeypatch):
    path = image_file(tmp_path / "a.zarr", 3, stack((2, 150, 170)), levels)
    argv = ("blur", path, "--skip-existing", "-o")
    assert run(*argv, tmp_path / "whole.zarr").status == 0
    for after in range(1, 20, 3):
        done = []

        def add(self, *more, original=Record.add, done=done, after=after):
            original(self, *more)
            done.append(more)
            if len(done) == after:
                raise OSError(errno.ENOSPC, "full")

        with monkeypatch.context() as patch:
            patch.setattr(Record, "add", add)
            status = run(*argv, tmp_path / f"{after}.zarr").status
        assert status == (len(done) == after)
        assert run(*argv, tmp_path / f"{after}.zarr").status == 0
        for level in map(str, range(levels)):
            np.testing.assert_array_equal(
                zarr.open_group(tmp_path / f"{after}.zarr")[level][...],
                zarr.open_group(tmp_path / "whole.zarr")[level][...],
            )
