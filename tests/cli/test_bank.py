"""`convcli bank`: maps as images of their own, contact sheets, and what is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import convcli
from convcli import ConvcliError, memory
from convcli.banks.maps import Wish, bank_from, maps_for
from convcli.banks.named import named_bank
from convcli.batch import maps as batch
from convcli.image import read
from convcli.image.mosaic import contact_sheet
from convcli.words import BORDERS

LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture
def here(tmp_path, monkeypatch, picture_file, photo):
    """The current folder with images of several kinds and a bank in a file."""
    monkeypatch.chdir(tmp_path)
    picture_file("photo.png")
    picture_file("grey.png", photo[100:148, 200:264, 1])
    weights = np.random.default_rng(3).standard_normal((4, 3, 3, 3)).astype(np.float32)
    np.save("bank.npy", weights)
    return tmp_path


def values(path):
    return read(path).pixels.astype(np.float64)


def luma(path):
    return np.asarray(Image.open(path).convert("RGB")) @ LUMA


def same(x, kernel, mode="reflect"):
    return ndimage.correlate(x, kernel, mode=mode)


def test_each_map_is_an_image_named_after_it(run, here):
    result = run("bank", "gabor:2,1", "photo.png", "-o", "maps/", "--depth", "float32")
    assert result.status == 0, result.err
    assert "wrote 'maps/photo.*.tif' (4 images): 64 x 48 float32 grey, " in result.err
    bank = named_bank("gabor:2,1")
    assert sorted(path.name for path in (here / "maps").iterdir()) == sorted(
        f"photo.{name}.tif" for name in bank.names
    )
    x = luma("photo.png")
    for name, kernel in zip(bank.names, bank.weights[:, 0], strict=True):
        made = values(here / "maps" / f"photo.{name}.tif")
        assert np.abs(made - same(x, kernel)).max() < 1e-5 * 255


def test_eight_bits_have_one_scale_for_all_maps_which_is_noted(run, here):
    result = run("bank", "steerable:2", "photo.png", "-o", "maps", "--json")
    assert result.status == 0
    x = luma("photo.png")
    bank = named_bank("steerable:2")
    maps = [same(x, kernel) for kernel in bank.weights[:, 0]]
    largest = np.abs(maps).max()
    record = json.loads(result.text)
    (note,) = record["notes"]
    assert note.startswith("8-bit maps hold 128 + 127 * value / ")
    assert float(note.split(" / ")[1].split(" ")[0]) == pytest.approx(largest, rel=1e-4)
    assert record["output"] == [f"maps/photo.{name}.png" for name in bank.names]
    for name, wanted in zip(record["output"], maps, strict=True):
        made = values(here / name)
        assert np.abs(made - (128 + 127 * wanted / largest)).max() <= 0.51


def test_energies_are_roots_of_sums_of_squares_from_black(run, here):
    result = run("bank", "gabor:3,1", "grey.png", "-o", "maps", "--energy")
    assert result.status == 0
    x = values(here / "grey.png")
    bank = named_bank("gabor:3,1")
    even, odd = ([same(x, bank.weights[i, 0]) for i in each] for each in ((0, 2, 4), (1, 3, 5)))
    energies = [np.hypot(a, b) for a, b in zip(even, odd, strict=True)]
    assert "note: 8-bit maps hold 255 * value / " in result.err
    for angle, energy in zip(("0", "60", "120"), energies, strict=True):
        made = values(here / "maps" / f"grey.4px-{angle}deg.png")
        assert np.abs(made - 255 * energy / np.max(energies)).max() <= 0.51


def test_maps_of_a_flat_image_are_flat(run, picture_file, tmp_path):
    """Their rounding is not stretched until it can be seen."""
    source = picture_file("flat.png", np.full((40, 60), 137, np.uint8))
    result = run("bank", "gabor:4,2", source, "-o", tmp_path / "maps/")
    assert "8-bit maps are all 128" in result.err
    paths = list((tmp_path / "maps").iterdir())
    assert len(paths) == 16
    assert {pixel for path in paths for pixel in np.unique(np.asarray(Image.open(path)))} == {128}


def test_relu_and_pool_follow_in_this_order(run, here):
    words = ("--relu", "--pool", "2", "--depth", "float32")
    assert run("bank", "steerable:1", "grey.png", "-o", "maps", *words).status == 0
    x = values(here / "grey.png")
    wanted = np.maximum(same(x, named_bank("steerable:1").weights[0, 0]), 0)
    made = values(here / "maps" / "grey.x.tif")
    assert np.allclose(made, wanted.reshape(24, 2, 32, 2).max(axis=(1, 3)), atol=1e-3)
    assert run("bank", "steerable:1", "grey.png", "-o", "black", "--relu").status == 0
    assert values(here / "black" / "grey.x.png").min() == 0


@pytest.mark.parametrize("border", BORDERS)
def test_borders_are_those_of_the_filters(run, here, border):
    words = ("--border", border, "--depth", "float32")
    assert run("bank", "steerable:3", "grey.png", "-o", "maps", *words).status == 0
    x = values(here / "grey.png")
    made = values(here / "maps" / "grey.xy.tif")
    assert np.allclose(made, same(x, named_bank("steerable:3").weights[3, 0], border), atol=1e-3)


def test_stride_and_dilation(run, here):
    words = ("--stride", "3", "--dilation", "2", "--depth", "float32")
    assert run("bank", "laws", "grey.png", "-o", "maps", *words).status == 0
    kernel = np.zeros((9, 9))
    kernel[::2, ::2] = named_bank("laws").weights[1, 0]
    wanted = same(values(here / "grey.png"), kernel)[::3, ::3]
    assert np.allclose(values(here / "maps" / "grey.L5E5.tif"), wanted, atol=1e-3)


def test_haar_halves_the_image_and_keeps_odd_sizes_whole(run, here, picture_file, photo):
    picture_file("odd.png", photo[:31, :45, 0])
    assert run("bank", "haar", "odd.png", "-o", "maps", "--depth", "float32").status == 0
    made = values(here / "maps" / "odd.HL.tif")
    x = photo[:31, :45, 0].astype(float)
    assert made.shape == (16, 23)
    below = x[:30:2, :44:2] + x[:30:2, 1:44:2] - x[1:30:2, :44:2] - x[1:30:2, 1:44:2]
    assert np.allclose(made[:15, :22], below / 2, atol=1e-3)


def test_the_planes_of_the_starlet_add_up_to_the_luminance(run, here):
    words = ("--depth", "float32", "--border", "mirror")
    assert run("bank", "starlet:3", "photo.png", "-o", "maps", *words).status == 0
    total = sum(values(path) for path in (here / "maps").iterdir())
    assert len(list((here / "maps").iterdir())) == 4
    assert np.abs(total - luma("photo.png")).max() < 1e-4


def test_a_built_in_bank_is_applied_to_each_channel_with_3_groups(run, here):
    words = ("--groups", "3", "--depth", "float32")
    assert run("bank", "gabor:1,1", "photo.png", "-o", "maps", *words, "--energy").status == 0
    bank = named_bank("gabor:1,1")
    for number, channel in enumerate(("red", "green", "blue")):
        x = values(here / "photo.png")[..., number]
        energy = np.hypot(*(same(x, kernel) for kernel in bank.weights[:, 0]))
        made = values(here / "maps" / f"photo.{channel}-4px-0deg.tif")
        assert np.allclose(made, energy, atol=1e-3)
    assert run("bank", "starlet:1", "photo.png", "-o", "planes", *words).status == 0
    made = [values(here / "planes" / f"photo.green-{name}.tif") for name in ("level-1", "smooth")]
    assert np.allclose(sum(made), values(here / "photo.png")[..., 1], atol=1e-4)


def test_a_bank_of_3_channels_is_applied_to_red_green_and_blue(run, here):
    result = run("bank", "bank.npy", "photo.png", "-o", "maps", "--depth", "float32")
    assert result.status == 0
    x = np.moveaxis(values(here / "photo.png"), 2, 0)
    for number, kernels in enumerate(np.load("bank.npy"), 1):
        wanted = sum(same(plane, kernel) for plane, kernel in zip(x, kernels, strict=True))
        assert np.allclose(values(here / "maps" / f"photo.{number}.tif"), wanted, atol=2e-3)


def test_a_layer_in_a_file_has_groups_as_in_a_network(run, here):
    weights = np.random.default_rng(1).random((6, 1, 3, 3))
    np.savez("layers.npz", depthwise=weights, dense=np.ones((2, 3, 3, 3)))
    words = ("--layer", "depthwise", "--groups", "3", "--depth", "float32")
    assert run("bank", "layers.npz", "photo.png", "-o", "maps", *words).status == 0
    x = values(here / "photo.png")
    made = values(here / "maps" / "photo.4.tif")
    assert np.allclose(made, same(x[..., 1], weights[3, 0]), atol=2e-3)


def test_a_layer_of_a_safetensors_file(run, here):
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file({"conv1.weight": np.load("bank.npy"), "fc": np.ones(3)}, "net.safetensors")
    assert run("bank", "net.safetensors", "photo.png", "-o", "maps").status == 0
    assert len(list((here / "maps").iterdir())) == 4
    result = run("bank", "net.safetensors", "photo.png", "--layer", "conv2.weight", "-o", "m")
    assert result.status == 2
    assert "has no layer 'conv2.weight' (it has conv1.weight 4 x 3 x 3 x 3)" in result.message


@pytest.mark.parametrize("dtype", ["uint16", "float32", "int32"])
def test_deep_images_keep_their_range(run, here, photo, dtype):
    deep = photo[:40, :50, 0].astype(dtype) * np.array(211, dtype)
    Image.fromarray(deep).save("deep.tif")
    assert run("bank", "unsharp:2", "deep.tif", "-o", "maps", "--depth", "float32").status == 0
    total = sum(values(path) for path in (here / "maps").iterdir())
    assert np.allclose(total, deep, rtol=1e-6, atol=0.01)


def test_an_alpha_is_left_out_with_a_note(run, here, photo, picture_file):
    alpha = np.dstack([photo[100:148, 200:264], np.zeros((48, 64), np.uint8)])
    picture_file("alpha.png", alpha)
    assert "note: left out its alpha" in run("bank", "laws", "alpha.png", "-o", "a").err
    run("bank", "laws", "photo.png", "-o", "a")
    for path in (here / "a").glob("photo.*"):
        other = path.with_name(path.name.replace("photo", "alpha"))
        assert np.array_equal(values(path), values(other))
    assert run("bank", "bank.npy", "alpha.png", "-o", "b").status == 0


def test_nan_becomes_the_level_of_zero(run, here):
    x = np.ones((30, 30), np.float32)
    x[15, 15] = np.nan
    Image.fromarray(x).save("nan.tif")
    assert run("bank", "laws", "nan.tif", "-o", "maps").status == 0
    assert values(here / "maps" / "nan.L5L5.png")[15, 15] == 128
    assert values(here / "maps" / "nan.L5L5.png")[0, 0] == 255


@pytest.mark.parametrize("method", ["definition", "direct", "im2col", "fft"])
def test_every_method_gives_the_same_maps(run, here, photo, picture_file, method):
    picture_file("small.png", photo[100:112, 200:214])
    words = ("--method", method, "--depth", "float32", "-f")
    assert run("bank", "bank.npy", "small.png", "-o", "maps", *words).status == 0
    wanted = convcli.conv2d(
        np.moveaxis(photo[100:112, 200:214], 2, 0).astype(np.float64), np.load("bank.npy"),
        padding="same", border="reflect",
    )  # fmt: skip
    for number, each in enumerate(wanted, 1):
        assert np.allclose(values(here / "maps" / f"small.{number}.tif"), each, atol=2e-3)


# --- contact sheets


def test_a_contact_sheet_shows_every_map_with_its_name(run, here):
    result = run("bank", "haar", "grey.png", "--mosaic", "-o", "sheet.png")
    assert result.status == 0
    run("bank", "haar", "grey.png", "-o", "maps")
    sheet = values(here / "sheet.png")
    for name in ("LL", "LH", "HL", "HH"):
        tile = values(here / "maps" / f"grey.{name}.png")
        windows = np.lib.stride_tricks.sliding_window_view(sheet, tile.shape)
        places = np.argwhere((windows == tile).all(axis=(2, 3)))
        assert len(places) == 1
        (y, x) = places[0]
        assert (sheet[y - 18 : y, x : x + 20] > 200).sum() > 10  # letters


def test_contact_sheets_go_where_other_images_go(run, here):
    content = (here / "grey.png").read_bytes()
    result = run("bank", "haar", "--mosaic", stdin=content)
    assert result.status == 0
    assert result.out.startswith(b"\x89PNG")
    assert run("bank", "haar", "grey.png", "--mosaic").status == 0
    assert (here / "grey.bank.png").read_bytes() == result.out
    assert run("bank", "haar", "grey.png", "photo.png", "--mosaic", "-o", "sheets").status == 0
    assert (here / "sheets" / "grey.png").read_bytes() == result.out
    assert run("bank", "haar", "grey.png", "--mosaic", "-o", "sheet.jpg").status == 0
    assert (here / "sheet.jpg").read_bytes().startswith(b"\xff\xd8")


@pytest.mark.parametrize("shape", [(2000, 3000), (3, 5), (900, 40), (1, 1)])
@pytest.mark.parametrize(("number", "row"), [(1, 0), (7, 0), (48, 16), (400, 0)])
def test_a_sheet_of_any_maps_is_of_a_size_to_look_at(shape, number, row):
    images = [np.full(shape, 77, np.uint8)] * number
    names = tuple(f"a-name-that-is-long-{i}" for i in range(number))
    sheet = contact_sheet(images, names, row)
    assert sheet.shape[1] <= 3200
    assert (sheet == 77).any()
    if number == 1 and shape != (2000, 3000):
        assert (sheet == 77).sum() >= shape[0] * shape[1]  # not made smaller


# --- files


def test_maps_lie_beside_the_image_without_an_output(run, here):
    assert run("bank", "haar", "photo.png").status == 0
    assert (here / "photo.bank.LH.png").exists()


def test_folders_lists_and_formats(run, here, picture_file, photo):
    picture_file("in/a.jpg", photo[:20, :20])
    picture_file("in/deeper/b.png", photo[:20, :20])
    assert run("bank", "haar", "in", "-r", "-o", "out", "--format", "tiff").status == 0
    names = sorted(str(path.relative_to(here / "out")) for path in (here / "out").rglob("*.*"))
    assert names == sorted(
        f"{name}.{part}.tif" for name in ("a", "deeper/b") for part in ("LL", "LH", "HL", "HH")
    )


def test_what_exists_is_neither_replaced_nor_made_again_unless_asked(run, here):
    (here / "maps").mkdir()
    (here / "maps" / "photo.LH.png").write_text("mine")
    result = run("bank", "haar", "photo.png", "-o", "maps")
    assert result.status == 2
    assert "'maps/photo.LH.png' exists; use --overwrite, --skip-existing" in result.message
    assert len(list((here / "maps").iterdir())) == 1
    # The other maps are made.
    assert run("bank", "haar", "photo.png", "-o", "maps", "--skip-existing").status == 0
    assert len(list((here / "maps").iterdir())) == 4
    assert (here / "maps" / "photo.LH.png").read_text() == "mine"
    result = run("bank", "haar", "photo.png", "-o", "maps", "--skip-existing")
    assert result.message == "skipped 'photo.png': 'maps/photo.*.png' (4 images) exists"
    assert run("bank", "haar", "photo.png", "-o", "maps", "-f").status == 0
    assert (here / "maps" / "photo.LH.png").read_bytes().startswith(b"\x89PNG")


def test_two_images_with_the_same_maps_are_refused(run, here, picture_file, photo):
    picture_file("photo.jpg", photo[:20, :20])
    result = run("bank", "haar", "photo.png", "photo.jpg", "-o", "maps")
    assert result.status == 2
    assert "would both be written to 'maps/photo.LL.png'" in result.message


def test_a_map_never_replaces_an_input(run, here, picture_file, photo):
    picture_file("photo.bank.LL.png", photo[:20, :20])
    result = run("bank", "haar", "photo.png", "photo.bank.LL.png", "-f")
    assert result.status == 2
    assert "'photo.bank.LL.png', which is also an input" in result.message


def test_dry_run_and_quiet(run, here):
    result = run("bank", "haar", "photo.png", "-o", "maps", "-n")
    assert result.text == "bank 'photo.png' -> 'maps/photo.*.png' (4 images)\n"
    assert not (here / "maps").exists()
    assert run("bank", "haar", "photo.png", "-o", "maps", "-q").err == ""


@pytest.mark.parametrize("bank", ["laws", "starlet:2"])
def test_explain_counts_the_multiplications_of_each_method(run, here, bank):
    result = run("bank", bank, "photo.png", "-o", "maps", "--explain", "-q")
    assert re.search(r"products .*definition, direct, im2col [\d,]+", result.err)
    assert re.search(r"fft [\d,]+", result.err)
    assert re.search(r"method +\w+: predicted to be fastest", result.err)
    assert re.search(r"filter +[\d.]+ [mu]?s +[\d.]+ [mu]?s", result.err)
    if bank == "laws":
        assert f"definition, direct, im2col {25 * 25 * 48 * 64:,}" in result.err


# --- what is refused


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("gabr:8,3", "photo.png"), r"unknown bank 'gabr:8,3'; did you mean 'gabor:8,3'"),
        (("fourier", "photo.png"), r"unknown bank 'fourier'.*gabor:ANGLES,SCALES.*\.safetensors"),
        (("gabor:x", "photo.png"), "'gabor:x' must be typed as gabor:ANGLES,SCALES"),
        (("gabor:8,0", "photo.png"), "SCALES must be a whole number of at least 1, not 0"),
        (("gabor:1,2,3", "photo.png"), "too many numbers"),
        (("starlet:13", "photo.png"), "LEVELS must be at most 12"),
        (("starlet:x", "photo.png"), "must be typed as starlet:LEVELS"),
        (("gone.npy", "photo.png"), "bank 'gone.npy': No such file"),
        (("text.npy", "photo.png"), "bank 'text.npy': cannot be read"),
        (("nan.npy", "photo.png"), "holds NaN or infinity"),
        (("deep.npy", "photo.png"), r"\(2, 64, 3, 3\)\) .*needs 64 channels.*\(3, H, W\)"),
        (("bank.npy", "photo.png", "--groups", "2"), r"\(4, 3, 3, 3\).* needs 6 channels"),
        (("one.npy", "photo.png", "--groups", "3"), r"3 groups do not divide the 4 maps"),
        (("laws", "photo.png", "--groups", "4"), "needs 4 channels"),
        (("laws", "photo.png", "--energy"), "--energy needs quadrature pairs"),
        (("starlet", "photo.png", "--energy"), "--energy needs quadrature pairs"),
        (("starlet", "photo.png", "--stride", "2"), "--stride is not for starlet"),
        (("starlet", "photo.png", "--dilation", "2"), "--dilation is not for starlet"),
        (("laws", "photo.png", "--angle", "9"), "--angle is for steerable"),
        (("bank.npy", "photo.png", "--angle", "9"), "--angle is for steerable"),
        (("laws", "photo.png", "--layer", "x"), "--layer is for files"),
        (("bank.npy", "photo.png", "--layer", "x"), "has no layers; leave out 'x'"),
        (("laws", "photo.png", "--stride", "0"), "--stride must be at least 1, not 0"),
        (("laws", "photo.png", "--workers", "0"), "workers .*not 0"),
        (("laws", "photo.png", "--method", "numpy"), "--method must be auto, .*, not 'numpy'"),
        (("laws", "photo.png", "-o", "-"), "standard output takes one image, and there are 25"),
        (("laws", "-", "-o", "maps/"), "standard input has no name for 25 outputs to begin with"),
        (("laws", "photo.png", "-o", "x.png"), "several results need a folder, but -o 'x.png'"),
        (("laws", "photo.png", "--mosaic", "--depth", "float32"), "--mosaic and --depth float32"),
        (("laws", "photo.png", "--depth", "float32", "--format", "png"), "PNG cannot hold float"),
        (("laws", "photo.png", "--linear"), "there is no option --linear"),
        (("laws",), "there is no input|standard input has no name"),
    ],
)
def test_wrong_usage_is_one_line_and_touches_nothing(run, here, argv, message):
    (here / "text.npy").write_text("no array")
    np.save("nan.npy", np.array([[1.0, np.nan]]))
    np.save("deep.npy", np.ones((2, 64, 3, 3)))
    np.save("one.npy", np.ones((4, 1, 3, 3)))
    before = sorted(here.iterdir())
    result = run("bank", *argv)
    assert re.match(f"convcli: .*({message})", result.message), result.message
    assert (result.status, result.out) == (2, b"")
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("bank.npy", "grey.png"), r"'grey.png': has 1 channel \(shape \(1, 48, 64\)\), but .*3 "),
        (("laws", "grey.png", "--groups", "3"), r"'grey.png': has 1 channel "),
        (("laws", "gone.png"), "'gone.png': No such file"),
        (("laws", "many.gif"), "'many.gif': has 2 frames or pages"),
        (("laws", "grey.png", "--pool", "99"), "'grey.png': windows of 99 x 99 do not fit in maps"),
        (("one.npy", "grey.png", "--method", "winograd", "--stride", "2"), "cannot compute"),
    ],
)
def test_an_image_that_fails_is_one_line(run, here, picture_file, argv, message):
    picture_file("many.gif", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    np.save("one.npy", np.ones((4, 1, 3, 3)))
    result = run("bank", *argv, "-o", "maps")
    assert re.match(f"convcli: .*{message}", result.message), result.message
    assert result.status == 1
    assert not (here / "maps").exists()


def test_maps_that_do_not_fit_in_memory_are_known_before(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10_000_000)
    x = np.zeros((1, 1000, 1000), np.float32)
    for text in ("laws", "starlet:4"):
        maps = maps_for(bank_from(text), Wish())
        with pytest.raises(ConvcliError, match=r"needs about .* of memory"):
            maps.of(x)


@pytest.mark.parametrize("bank", ["laws", "starlet:2"])
def test_windows_that_do_not_fit_are_known_before_the_maps(bank, monkeypatch):
    monkeypatch.setattr("convcli.banks.maps.run_plan", None)
    monkeypatch.setattr("convcli.banks.cascades.run_plan", None)
    with pytest.raises(ConvcliError, match="windows of 9 x 9 do not fit in maps of 8 x 30"):
        maps_for(bank_from(bank), Wish(pool=9)).of(np.zeros((1, 8, 30), np.float32))


def test_images_wait_until_there_is_room_for_their_maps(here):
    taken = []
    maps = maps_for(bank_from("laws"), Wish())
    batch.read(here / "grey.png", maps=maps, on_decode=lambda size, _header: taken.append(size))
    (size,) = taken
    assert 48 * 64 * 25 * 5 <= size <= 2 * 48 * 64 * 25 * 5


def test_help_lists_the_options_of_banks_and_not_those_of_colour(run):
    text = run("bank", "--help").text
    for word in ("--layer", "--angle", "--mosaic", "--pool", "--energy", "--skip-existing"):
        assert word in text
    for word in ("--alpha", "--linear", "--in-place", "--preview"):
        assert word not in text
