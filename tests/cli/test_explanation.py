"""``--explain``: the plan as a tree, with predicted and measured times of every stage."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest
from PIL import Image

from convcli.batch import clock as clocks
from convcli.batch import run as batch
from convcli.batch.pipeline import Pipeline
from convcli.files.formats import FORMATS
from convcli.files.job import Job
from convcli.image import costs
from convcli.image.costs import reading_cost, writing_cost
from convcli.kernels.named import log_kernel, named_kernel
from convcli.loops.decimation import decimations
from tests.plans import planned
from tests.terminals import without_bar


@pytest.fixture
def folder(tmp_path, monkeypatch, picture_file):
    monkeypatch.chdir(tmp_path)
    picture_file("a.png")
    frames = [Image.new("L", (8, 8), 40 * n) for n in range(3)]
    frames[0].save(tmp_path / "three.tif", save_all=True, append_images=frames[1:])
    return tmp_path


def branches(text):
    """Read a tree back: the depth of each line, its first word and the rest."""
    for line in text.splitlines():
        if found := re.match(r"((?:[|`│ ]   |[+`]-- |[├└]── )+)(\S+) *(.*)", line):
            yield len(found[1]) // 4, found[2], found[3]


def test_the_tree_says_what_the_plan_says(run, folder):
    result = run("filter", "a.png", "-k", "log:1", "--explain", "-m", "numpy", "--border", "wrap")
    plan = planned((48, 64, 3), "uint8", log_kernel(1.0), "numpy")
    assert result.err.startswith("'a.png', 64 x 48:\n")
    found = {word: rest for depth, word, rest in branches(result.err) if depth == 1}
    assert list(found) == ["method", "kernel", "border", "loop", "spread", "predicted", "time"]
    assert found["border"] == "wrap, 4 pixels above and below, 4 left and right"
    for word, text in plan.parts():
        if word != "predicted":
            assert found[word] == text
    assert "numba" in found["predicted"]  # what the others would have taken


PASSES = {
    ("gaussian:2", "separable"): ["columns of 17 weights", "rows of 17 weights"],
    ("log:1", "separable"): [
        "columns of 9 weights, 2 sets of them, added",
        "rows of 9 weights, 2 sets of them, added",
    ],
    ("box:5,3", "separable"): ["columns of 3 weights", "rows of 5 weights"],
    ("emboss", "dense"): ["all 3 x 3 weights at once"],
}


@pytest.mark.parametrize(("kernel", "form"), PASSES)
def test_the_passes_of_a_plan(kernel, form):
    plan = planned((48, 64, 3), "uint8", named_kernel(kernel), form=form)
    assert plan.passes() == PASSES[kernel, form]


def test_passes_and_pieces_are_branches(run, folder):
    result = run("filter", "a.png", "-k", "emboss", "--explain", "-m", "tiled", "-w", 2)
    inner = [f"{word} {rest}" for depth, word, rest in branches(result.err) if depth == 2]
    assert inner[:2] == ["all 3 x 3 weights at once", "2 tiles"]


def test_a_wide_blur_says_its_grid_and_its_bound(run, folder):
    result = run("blur", "a.png", "--sigma", "40,20", "--explain")
    assert "decimated, on a grid of 24 x 12 pixels: at most 0.00" in result.err
    assert "onto the grid: 217 x 109 weights" in result.err
    grid = decimations((40, 20))
    assert f"reflect, {grid[0].radius} pixels above and below, {grid[1].radius}" in result.err


def test_each_stage_is_predicted_and_measured(run, folder):
    result = run("blur", "a.png", "--sigma", 1, "--explain", "-m", "numpy")
    stages = {word: rest for depth, word, rest in branches(result.err) if depth == 2}
    for name in ("read", "filter", "write"):
        assert re.match(r"[\d.]+ [mu]?s +[\d.]+ [mu]?s( |$)", stages[name]), stages
    assert stages["read"].endswith("while the program was loaded")
    assert "#" in stages["filter"] + stages["write"]


def seconds(text):
    number, unit = text.split()[:2]
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1}[unit]


def test_the_lines_add_up_to_the_total(run, folder):
    result = run("blur", "a.png", "--sigma", 1, "--explain", "-m", "numpy")
    lines = {word: rest for depth, word, rest in branches(result.err) if depth == 2}
    found = [name for name in lines if name in ("start", "read", "filter", "write", "total")]
    assert found == ["start", "read", "filter", "write", "total"]
    stages = [re.findall(r"[\d.]+ [mu]?s", lines[name]) for name in ("read", "filter", "write")]
    total = re.findall(r"[\d.]+ [mu]?s", lines["total"])
    for column in range(2):
        parts = [seconds(times[column]) for times in stages]
        parts += [seconds(lines["start"])] if column else []
        assert sum(parts) == pytest.approx(seconds(total[column]), rel=0.02)


def test_a_batch_has_no_line_of_the_start(run, folder):
    result = run("blur", "a.png", "three.tif", "-s", 1, "--explain", "-o", "out/", "-w", 1)
    words = [word for depth, word, _ in branches(result.err) if depth == 2]
    assert "start" not in words
    assert words.count("total") == 2


def test_the_stages_are_the_whole_time(folder):
    (outcome,) = batch.run(
        [Job("three.tif", "out.tif", "TIFF")],
        Pipeline(lambda pixels, **_: np.zeros_like(pixels), {}),
        1,
    )
    names = [each.name for each in outcome.timings]
    assert names == ["read", "filter", "write"]
    measured = sum(each.measured for each in outcome.timings)
    assert 0 < measured <= outcome.seconds
    assert all(each.measured > 0 for each in outcome.timings)
    assert outcome.timings[0].predicted == reading_cost("TIFF", 3 * 64, True)
    assert outcome.timings[2].predicted == writing_cost("TIFF", 3 * 64, 1, True)


def test_frames_are_read_and_filtered_while_the_first_are_written(folder, monkeypatch):
    order, at = [], clocks.Clock.at
    monkeypatch.setattr(clocks.Clock, "at", lambda self, name: order.append(name) or at(self, name))
    job = Job("three.tif", "out.tif", "TIFF")
    list(batch.run([job], Pipeline(lambda pixels, **_: pixels, {}), 1))
    assert order == ["read", "filter", "write", "read", "filter", "read", "filter"]


def test_one_stage_inside_of_another_stops_that(monkeypatch):
    times = iter(range(100))
    monkeypatch.setattr(clocks.time, "perf_counter", lambda: next(times))
    clock = clocks.Clock()
    with clock.at("write"):  # 0 to 7
        with clock.at("read"):  # 1 to 2
            pass
        with clock.at("filter"), clock.at("read"):  # 3 to 6, 4 to 5
            pass
    assert clock.seconds == {"read": 2, "filter": 2, "write": 3}


@pytest.mark.parametrize("is_grey", [True, False])
@pytest.mark.parametrize("format_name", FORMATS)
def test_every_format_has_its_costs(format_name, is_grey):
    reading = [reading_cost(format_name, size, is_grey) for size in (0, 10**6)]
    writing = [writing_cost(format_name, size, 1, is_grey) for size in (0, 10**6)]
    assert 0 < reading[0] < reading[1]
    assert 0 < writing[0] < writing[1]


def test_cores_share_the_encoding_of_png_and_of_large_jpegs():
    for name in FORMATS:
        shared = writing_cost(name, 10**8, 4) < writing_cost(name, 10**8, 1)
        assert shared == (name in ("PNG", "JPEG"))
    assert writing_cost("JPEG", 6 << 20, 2) == writing_cost("JPEG", 6 << 20, 1)
    assert writing_cost("JPEG", 4 << 20, 2, True) < writing_cost("JPEG", 4 << 20, 1, True)


@pytest.mark.parametrize("cost", [reading_cost, partial(writing_cost, workers=1)])
def test_png_costs_more_without_isa_l(monkeypatch, cost):
    monkeypatch.setattr(costs, "isa_l", lambda: True)
    fast = cost("PNG", 10**8)
    monkeypatch.setattr(costs, "isa_l", lambda: None)
    assert cost("PNG", 10**8) > 1.3 * fast


def test_a_pipe_gets_ascii_and_whole_lines(run, folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("FORCE_COLOR", "1")
    err = run("blur", "a.png", "--sigma", 1, "--explain", "-m", "fft").err
    assert err.isascii()
    assert "\x1b" not in err
    assert "\n+-- method     fft: as requested\n" in err
    assert max(map(len, err.splitlines())) > 80


@pytest.mark.parametrize(
    ("environment", "guide"),
    [({}, "├── "), ({"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}, "+-- ")],
)
def test_a_terminal_gets_lines_that_it_can_show(terminal, folder, environment, guide):
    seen = terminal(
        "blur", "a.png", "--sigma", 1, "--explain", columns=40, cwd=folder, **environment
    ).text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", without_bar(seen))
    assert f"{guide}method" in plain
    assert plain.isascii() == (guide == "+-- ")
    tree = plain.partition("wrote")[0].splitlines()
    assert max(map(len, tree)) <= 40


def test_a_name_is_no_markup(run, folder):
    (folder / "a.png").rename(folder / "[red]b[blink].png")
    assert run("edge", "[red]b[blink].png", "--explain").err.startswith("'[red]b[blink].png', 64")
