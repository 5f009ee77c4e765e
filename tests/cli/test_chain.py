"""``convcli chain``: stages parsed by the declarations of their commands."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convcli
from convcli.cli.options import Shared
from convcli.cli.stages import COMMANDS, _command, _shared_names, parsed
from convcli.image import read
from convcli.kernels.named import named_kernel
from tests.cli.test_explanation import branches

stage = convcli.stage


@pytest.fixture
def folder(tmp_path, monkeypatch, picture_file):
    monkeypatch.chdir(tmp_path)
    picture_file("a.png")
    return tmp_path


def pixels(path):
    return np.asarray(Image.open(path))


# --- every own option of every filter works in a stage

# A value for each option, and what else the stage needs.
VALUES = {
    ("blur", "sigma"): ("--sigma 2", lambda: stage("blur", 2)),
    ("blur", "truncate"): (
        "--sigma 2 --truncate 1",
        lambda: stage("blur", 2, truncate=1),
    ),
    ("blur", "radius"): ("--sigma 2,1 --radius 1", lambda: stage("blur", (2, 1), radius=1)),
    ("blur", "exact"): ("--sigma 2 --exact", lambda: stage("blur", 2, exact=True)),
    ("edge", "operator"): ("--operator scharr", lambda: stage("edge", "scharr")),
    ("edge", "show"): ("--show x", lambda: stage("edge", show="x")),
    ("edge", "sigma"): ("--sigma 1.5 --show laplacian", lambda: laplacian()),
    ("edge", "canny"): ("--canny 10,30", lambda: stage("edge", canny=(10, 30))),
    ("edge", "stretch"): ("--stretch", lambda: stage("edge", stretch=True)),
    ("sharpen", "sigma"): ("--sigma 2", lambda: stage("sharpen", 2)),
    ("sharpen", "amount"): ("--amount 3", lambda: stage("sharpen", 1, 3)),
    ("sharpen", "threshold"): ("--threshold 9", lambda: stage("sharpen", threshold=9)),
    ("filter", "kernels"): (
        "-k '0 1; 2 0'",
        lambda: stage("convolve", [[0, 1], [2, 0]]),
    ),
    ("filter", "normalize"): (
        "--kernel '0 1; 2 0' --normalize",
        lambda: stage("convolve", [[0, 1 / 3], [2 / 3, 0]]),
    ),
    ("filter", "scale"): (
        "-k '0 1; 2 0' --scale 0.25",
        lambda: stage("convolve", [[0, 0.25], [0.5, 0]]),
    ),
    ("filter", "bias"): ("-k emboss --bias 30", lambda: stage("filter", emboss(), bias=30)),
    ("filter", "stretch"): ("-k emboss --stretch", lambda: stage("filter", emboss(), stretch=True)),
    ("filter", "correlate"): (
        "-k emboss --correlate",
        lambda: stage("filter", emboss(), correlate=True),
    ),
    ("filter", "stride"): ("-k emboss --stride 2", lambda: stage("filter", emboss(), stride=2)),
    ("filter", "dilation"): (
        "-k emboss --dilation 2",
        lambda: stage("filter", emboss().dilated(2)),
    ),
    ("bank", "bank"): ("gabor:1,1 --energy", lambda: stage("bank", "gabor:1,1", energy=True)),
    ("bank", "energy"): ("gabor:1,1 --energy", lambda: stage("bank", "gabor:1,1", energy=True)),
    ("bank", "layer"): (
        "two.npz --layer b",
        lambda: stage("bank", "two.npz", layer="b"),
    ),
    ("bank", "stride"): (
        "two.npz --layer a --stride 2",
        lambda: stage("bank", "two.npz", layer="a", stride=2),
    ),
    ("bank", "dilation"): (
        "gabor:1,1 --energy --dilation 2",
        lambda: stage("bank", "gabor:1,1", energy=True, dilation=2),
    ),
    ("bank", "groups"): (
        "gabor:1,1 --energy --groups 3",
        lambda: stage("bank", "gabor:1,1", energy=True, groups=3),
    ),
    ("bank", "relu"): (
        "two.npz --layer b --relu",
        lambda: stage("bank", "two.npz", layer="b", relu=True),
    ),
}
# What makes no sense in a stage, or no image.
NOT_IN_A_STAGE = {("bank", "mosaic"), ("bank", "pool"), ("bank", "angle")}


def laplacian():
    return stage("edge", sigma=1.5, show="laplacian")


def emboss():
    return named_kernel("emboss")


def own_options():
    for name in COMMANDS:
        for parameter in _command(name).params:
            key = name, parameter.name
            if parameter.name not in _shared_names() and key not in NOT_IN_A_STAGE:
                yield name, parameter.name


@pytest.mark.parametrize(("name", "option"), list(own_options()))
def test_every_own_option_of_every_filter_works_in_a_stage(run, folder, name, option):
    words, make = VALUES[name, option]
    weights = np.random.default_rng(0).normal(0, 0.2, (3, 4))
    np.savez("two.npz", a=weights, b=weights[:, :3])
    result = run("chain", f"blur --sigma 1 | {name} {words}", "a.png", "-o", "out.png")
    assert (result.status, result.err.splitlines()[-1][:5]) == (0, "wrote")
    wanted = convcli.chain(pixels("a.png"), [stage("blur", 1), make()])
    np.testing.assert_array_equal(pixels("out.png"), wanted)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_stage_may_have_a_border_of_its_own(run, folder, name):
    option = {"filter": "kernels", "bank": "bank"}.get(name, "sigma")
    words, make = VALUES[name, option] if name != "edge" else ("", lambda: stage("edge"))
    value = 0.0 if name == "bank" else 40.0  # bank has no --border-value
    border = "--border constant" + (f" --border-value {value}" if value else "")
    text = f"blur --sigma 2 | {name} {words} {border}"
    run("chain", text, "a.png", "-o", "out.png", "--border", "wrap")
    made = make()
    last = convcli.stage("blur", 2)
    wanted = convcli.chain(
        pixels("a.png"),
        [last, type(made)(made.words, made.filter, "constant", value)],
        border="wrap",
    )
    np.testing.assert_array_equal(pixels("out.png"), wanted)


# --- where stages come from


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_has_a_stage_a_line_and_comments(run, folder, encoding):
    (folder / "soft.chain").write_text(
        "# soft edges\n\nblur --sigma 2   # wide\n  filter -k '1 0 -1' --bias 128\r\nedge\n",
        encoding,
    )
    assert run("chain", "@soft.chain", "a.png", "-o", "out.png").status == 0
    several = [stage("blur", 2), stage("filter", [[1, 0, -1]], bias=128), stage("edge")]
    np.testing.assert_array_equal(pixels("out.png"), convcli.chain(pixels("a.png"), several))


def test_a_bank_first_takes_the_luminance_as_edge_does(run, folder, picture_file):
    path = picture_file("a.jpg")
    run("chain", "bank gabor:1,1 --energy | blur --sigma 1", "a.jpg", "-o", "out.png")
    image = Image.open(path)
    image.draft("L", image.size)
    several = [stage("bank", "gabor:1,1", energy=True), stage("blur", 1)]
    np.testing.assert_array_equal(pixels("out.png"), convcli.chain(np.asarray(image), several))


def test_what_is_quoted_is_no_separator_and_no_comment():
    first, second = parsed("""filter -k "1 0; 0 1" | blur --sigma '2'""", Shared())
    assert first.make(None).filter.kernels[0].shape == (2, 2)
    assert second.make(None).words == "blur --sigma '2'"


def test_the_output_is_named_after_the_command(run, folder):
    result = run("chain", "blur --sigma 1|edge", "a.png")
    assert result.message.startswith("wrote 'a.chain.png': 64 x 48 grey, ")


def test_pipes_frames_folders_and_json(run, folder, photo):
    frames = [Image.fromarray(photo[n : n + 20, :30]) for n in (0, 50, 100)]
    frames[0].save("three.tif", save_all=True, append_images=frames[1:])
    result = run(
        "chain", "blur --sigma 1 | sharpen", "-", stdin=(folder / "three.tif").read_bytes()
    )
    made = Image.open(io.BytesIO(result.out))
    assert made.n_frames == 3
    made.seek(2)
    wanted = convcli.chain(photo[100:120, :30], [stage("blur", 1), stage("sharpen")])
    np.testing.assert_array_equal(np.asarray(made), wanted)

    result = run("chain", "blur --sigma 1 | edge", ".", "-r", "-o", "out", "--json", "-m", "numpy")
    found = [json.loads(line) for line in result.text.splitlines()]
    assert {each["output"] for each in found} == {"out/a.png", "out/three.tif"}
    assert {(each["method"], each["mode"]) for each in found} == {("numpy", "L")}
    assert {each["sums"] for each in found} == {"float32"}

    result = run("chain", "blur --sigma 1 | edge", "a.png", "-n")
    assert result.text == "chain 'a.png' -> 'a.chain.png'\n"


def test_light_and_alpha_are_of_the_whole_chain(run, folder, picture_file, photo):
    rgba = np.dstack([photo[:40, :50], photo[60:100, :50, 0]])
    picture_file("alpha.png", rgba)
    run("chain", "blur --sigma 1 | sharpen", "alpha.png", "-o", "out.png", "--linear")
    wanted = convcli.chain(rgba, [stage("blur", 1), stage("sharpen")], linear=True, alpha="weight")
    np.testing.assert_array_equal(pixels("out.png"), wanted)


def test_edge_first_takes_the_stored_luma_of_a_jpeg(run, folder, picture_file):
    path = picture_file("a.jpg")
    run("chain", "edge | blur --sigma 1", "a.jpg", "-o", "out.png")
    image = Image.open(path)
    image.draft("L", image.size)
    wanted = convcli.chain(np.asarray(image), [stage("edge"), stage("blur", 1)])
    np.testing.assert_array_equal(pixels("out.png"), wanted)


@pytest.mark.parametrize("stages", ["blur --sigma 1 | sharpen", "blur | edge --show angle"])
def test_the_depth_is_of_the_result(run, folder, stages):
    run("chain", stages, "a.png", "-o", "out.png", "--depth", "16")
    several = [each.make(None) for each in parsed(stages, Shared())]
    wanted = convcli.chain(pixels("a.png"), several, out_dtype="float64", exact=True)
    wanted = wanted * 257 if "sharpen" in stages else (wanted / (2 * np.pi) + 0.5) * 65535
    assert np.abs(pixels_16("out.png") - wanted.clip(0, 65535)).max() <= 0.51


def pixels_16(path):
    return read(Path(path)).pixels.astype(float)


def test_a_stretch_fills_the_depth(run, folder):
    run("filter", "-k", "box:3", "--stretch", "a.png", "-o", "out.png", "--depth", "16")
    assert (pixels_16("out.png").min(), pixels_16("out.png").max()) == (0, 65535)


@pytest.mark.parametrize(
    ("stated", "options", "meant"),
    [
        ("-9999", (), {"nodata": -9999}),
        ("-9999", ("--nan", "keep"), {}),
        (None, ("--nodata", "-9999"), {"nodata": -9999}),
        (None, ("--nan", "skip"), {"nan": "skip"}),
    ],
)
def test_missing_samples_are_left_out_of_every_stage(run, folder, stated, options, meant):
    image = np.random.default_rng(0).normal(100, 10, (30, 40)).astype(np.float32)
    image[5:20, 5:30] = -9999
    image[25, 35] = np.nan
    Image.fromarray(image).save("a.tif", tiffinfo={42113: stated} if stated else {})
    text = "blur --sigma 0.5 | sharpen"
    result = run("chain", text, "a.tif", "-o", "b.tif", "--json", *options)
    assert json.loads(result.out)["left_out"] == (1 + 375 * ("nodata" in meant) if meant else None)
    wanted = convcli.chain(image, [stage("blur", 0.5), stage("sharpen")], **meant)
    np.testing.assert_array_equal(read(Path("b.tif")).pixels, wanted)
    assert ((wanted == -9999).sum() == 3 * 13) == ("nodata" in meant)


def test_the_commands_of_other_stages_are_not_imported(folder):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED.format("blur --sigma 1 | edge")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[1] == "['blur', 'chain', 'edge']"


IMPORTED = """
import sys
from convcli.cli.program import main
sys.argv[1:] = ["chain", "{}", "a.png", "-n"]
try:
    main()
except SystemExit as end:
    assert not end.code
print([name for name in ("blur", "chain", "edge", "filter", "sharpen", "bank")
       if f"convcli.cli.commands.{{name}}" in sys.modules])
"""


# --- the explanation


def test_the_explanation_has_each_stage_with_its_plan_and_times(run, folder):
    text = "blur --sigma 2 | edge --border wrap"
    result = run("chain", text, "a.png", "--explain", "-m", "numpy")
    found = list(branches(result.err))
    first = [f"{word} {rest}" for depth, word, rest in found if depth == 1]
    assert first[:2] == ["stage 1    blur --sigma 2", "stage 2    edge --border wrap"]
    assert [each.split()[0] for each in first[2:]] == ["spread", "between", "predicted", "time"]
    inner = [f"{word} {rest}" for depth, word, rest in found if depth == 2]
    assert "border reflect, 8 pixels above and below, 8 left and right" in inner
    assert "border wrap, 1 pixel above and below, 1 left and right" in inner
    times = [rest for depth, word, rest in found if depth == 3 and word in "12"]
    assert len(times) == 2
    assert all(re.fullmatch(r"[\d.]+ [mu]?s +[\d.]+ [mu]?s", each) for each in times)


# --- bad input

REFUSED = {
    "blurr --sigma 2": r"stage 1, 'blurr --sigma 2': unknown filter 'blurr'; did you mean 'blur'\?",
    "median": "stage 1, 'median': unknown filter 'median'; a stage is blur, edge",
    "edge | kernel box:3": "stage 2, 'kernel box:3': unknown filter 'kernel'",
    "edge | | edge": r"stage 2 of 'edge \| \| edge' is empty",
    "": "stage 1 of '' is empty",
    "edge |": r"stage 2 of 'edge \|' is empty",
    "edge | sharpen -o x.png": "stage 2, 'sharpen -o x.png': --output is an option of the chain",
    "edge --linear": "stage 1, 'edge --linear': --linear is an option of the chain; give it after",
    "edge --method fft": "stage 1, .*: --method is an option of the chain",
    "edge b.png": "stage 1, 'edge b.png': 'b.png' is an input; name inputs after the stages",
    "edge | filter -k '1 2": "stage 2, .*a quote is not closed",
    "edge \\": "stage 1, .*ends in a backslash",
    "edge | filter": "stage 2, 'filter': --kernel is missing; add --kernel K",
    "edge --canny 1 | edge": "stage 1, 'edge --canny 1': --canny must be two numbers",
    "edge | edge --canny 3,1": "stage 2, 'edge --canny 3,1': the low threshold",
    "edge --canny 1,3 | blur": r"stage 1 \(edge --canny 1,3\) links thin edges, which depends on",
    "filter -k emboss --stretch | edge": "stage 1 .filter -k emboss --stretch. stretches its",
    "edge --sigma 2 --operator sobel": "stage 1, .*: operator has no effect beside sigma",
    "blur --sigma": "stage 1, 'blur --sigma': --sigma needs a value",
    "blur --sgima 2": "stage 1, 'blur --sgima 2': there is no option --sgima; did",
    "blur | bank gabor:2,1 --energy": r"stage 2, .*: it makes 2 maps of 1 channel \(4px-0deg, 4px",
    "bank steerable --angle 9": r"stage 1, .*: it makes 2 maps of 1 channel \(first-9deg, second-9",
    "bank gabor:1,1 --mosaic": "stage 1, .*: --mosaic makes a sheet of many maps",
    "bank gabor:1,1 --energy --pool 2": "stage 1, .*: --pool is not for stages; leave it out",
    "bank gabor:1,1 --energy --depth 8": "stage 1, .*: --depth is an option of the chain",
    "blur --sigma 2 --methd fft": "stage 1, .*: there is no option --methd",
    "bank": "stage 1, 'bank': BANK is missing",
    "bank a.png": "stage 1, 'bank a.png': unknown bank 'a.png'",
    "bank none.npy": "stage 1, 'bank none.npy': bank 'none.npy': No such file",
    "edge --help": "stage 1, 'edge --help': there is no option --help",
    "edge | blur --sigma x": "stage 2, 'blur --sigma x': --sigma must be one number, or two",
    "edge | blur --sigma -1": "stage 2, 'blur --sigma -1': --sigma must be .* above 0, not -1",
    "edge | edge --show up": "stage 2, 'edge --show up': --show must be magnitude, x, .* not 'up'",
    "edge | filter -k nothing": "stage 2, 'filter -k nothing': 'nothing' is not a kernel",
    "edge | blur --sigma 1 --border-value 3": "stage 2, .*: --border-value works only with",
    "blur --sigma 1 --border constant --border-value 1e99": "stage 1, .* border_value must be",
    "edge --stretch | blur --sigma 1": r"stage 1 \(edge --stretch\) stretches its result",
    "@nothing.chain": "cannot read the stages in 'nothing.chain': No such file",
    "@.": "cannot read the stages in '.': Is a directory",
    "@a\0b": "cannot read the stages in .*null byte",
    "@a.png": "'a.png' is not a file of stages; write one stage on each line, as text",
    "@nul.chain": "'nul.chain' is not a file of stages",
    "@none.chain": "'none.chain' has no stages; write one a line",
    "@bad.chain": "'bad.chain', line 3, 'blurr': unknown filter 'blurr'",
    "@two.chain": r"'two.chain', line 1, 'edge \| edge': a line has one stage",
}
FILES = {
    "nul.chain": "edge\0",
    "none.chain": "# nothing\n\n",
    "bad.chain": "edge\n\nblurr # no\n",
    "two.chain": "edge | edge\n",
}


@pytest.mark.parametrize("stages", REFUSED)
def test_what_is_wrong_with_a_stage_is_said_in_one_line(run, folder, stages):
    for name, content in FILES.items():
        (folder / name).write_text(content)
    result = run("chain", stages, "a.png", "-o", "out.png")
    assert result.status == 2
    assert re.match(f"convcli: {REFUSED[stages]}", result.message)
    assert len(result.message) < 400
    assert not (folder / "out.png").exists()


def test_a_later_edge_refuses_colours_without_luminance_and_the_rest_goes_on(
    run, folder, picture_file, photo
):
    picture_file("cmyk.tif", Image.fromarray(photo[:30, :40]).convert("CMYK"))
    result = run("chain", "blur --sigma 1 | edge", "cmyk.tif", "a.png", "-o", "out")
    assert result.status == 1
    assert "'cmyk.tif': has colours in CMYK, which have no luminance for a later" in result.err
    assert (folder / "out" / "a.png").exists()
    assert run("chain", "edge | blur --sigma 1", "cmyk.tif", "-o", "edge.tif").status == 0


def test_help_fits_a_terminal_and_shows_how(run):
    text = run("chain", "--help").text
    assert max(map(len, text.splitlines())) <= 80
    assert 'chain "blur --sigma 2 | sharpen --amount 0.8"' in text
