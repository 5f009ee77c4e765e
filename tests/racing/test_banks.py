"""The race of filter banks: every contender is right, and every wrong one is found."""

from __future__ import annotations

import json

import numpy as np
import pytest

import convcli
from convcli import ConvcliError
from convcli.racing import banks
from convcli.racing.banks import BANKS, CONTENDERS, Weights, notes, oracle_for, weights_of
from convcli.racing.cases import Case
from convcli.racing.contenders import Contender, chosen
from convcli.racing.race import race

IMAGE = banks.generated(24, 31, 3)
LAYERS = {
    "3 x 3": weights_of("4,3,3"),
    "5 x 5": weights_of("2,3,5"),
    "even": Weights("even", np.random.default_rng(1).random((2, 3, 2, 4), np.float32)),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", [name for name in CONTENDERS if CONTENDERS[name].is_installed])
def test_every_contender_gives_what_the_definition_gives(name, layer):
    contender, weights = CONTENDERS[name], LAYERS[layer]
    if not contender.takes(weights):
        assert layer in {"torch": ["even"]}.get(name, ["5 x 5", "even"])
        assert name.startswith(("winograd", "torch"))
        return
    small = np.ascontiguousarray(IMAGE[:9, :10])
    result = contender.work(contender.laid_out(small), weights)
    error, is_right = oracle_for(small, weights).error(result)
    assert is_right, error
    wanted = convcli.conv2d(
        np.moveaxis(small, 2, 0), weights.array, padding="same", method="definition"
    )
    assert np.abs(np.moveaxis(result, 2, 0) - wanted).max() < 1e-4


def test_an_oracle_that_is_wrong_is_found(monkeypatch):
    def wrong(*arguments, method, **settings):
        result = convcli.conv2d(*arguments, method=method, **settings)
        return result if method == "definition" else result + 1e-3

    monkeypatch.setattr(banks, "conv2d", wrong)
    with pytest.raises(ConvcliError, match="differ from the definition"):
        oracle_for(IMAGE, LAYERS["3 x 3"])


def test_a_wrong_contender_has_no_time(monkeypatch):
    liar = CONTENDERS["im2col"]._replace(work=lambda x, w: np.zeros((*x.shape[1:], len(w.array))))
    monkeypatch.setitem(CONTENDERS, "im2col", liar)
    case = Case(24, 31, LAYERS["3 x 3"])
    found = race(IMAGE, [case], ["im2col", "fft"], 1, 20, field=BANKS)
    assert [(each.contender, each.verdict) for each in found.results] == [
        ("im2col", "wrong"),
        ("fft", ""),
    ]
    assert found.images == {}


def test_names_have_hyphens_as_in_the_other_race():
    assert chosen([], CONTENDERS) == tuple(CONTENDERS)
    assert chosen(["winograd-4x4", "Direct"], CONTENDERS) == ("winograd-4x4", "direct")
    with pytest.raises(ConvcliError, match="unknown contender 'numpy'; choose from definition"):
        chosen(["numpy"], CONTENDERS)
    assert all(isinstance(each, Contender) for each in CONTENDERS.values())


def test_multiplications_are_those_of_the_papers():
    counted, columns = notes(weights_of("64,64,3"), 56, 56)
    assert "definition, direct, im2col 115,605,504; " in counted
    assert "winograd 51,380,224 (2.25 times fewer)" in counted  # 9 / 4
    assert "winograd-4x4 28,901,376 (4 times fewer)" in counted  # 9 / 2.25
    assert columns.startswith("im2col's whole matrix would take 9 times the memory")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("64,64", "typed as MAPS,CHANNELS,SIDE"),
        ("0,1,3", "typed as MAPS,CHANNELS,SIDE"),
        ("9999,9999,99", "typed as MAPS,CHANNELS,SIDE"),
        ("starlet:3", "starlet is a cascade"),
        ("gabr", "unknown bank 'gabr'"),
    ],
)
def test_what_is_no_layer_is_refused(run, text, message):
    with pytest.raises(ConvcliError, match=message):
        weights_of(text)
    result = run("bench", "--bank", text)
    assert result.status == 2
    assert message in result.message


QUICK = ("--methods", "im2col,winograd,fft", "--rounds", "1", "--budget", "20", "--sizes", "40x30")


def test_the_table_counts_the_multiplications(run):
    result = run("bench", "--bank", "4,3,3", *QUICK)
    assert result.status == 0, result.err
    for word in ("| im2col ", "| winograd ", "| fft ", "multiplications for 40 x 30 pixels: "):
        assert word in result.text
    assert " x dot " not in result.text


def test_the_page_and_the_files_say_the_same(run, tmp_path):
    page, data = tmp_path / "race.html", tmp_path / "race.json"
    words = ("--report", str(page), "--json", str(data))
    assert run("bench", "--bank", "gabor:2,1", *QUICK[:2], *QUICK[2:], *words).status == 0
    assert "<svg" in page.read_text()
    assert "multiplications for 40 x 30 pixels" in page.read_text()
    found = json.loads(data.read_text())
    assert found["kernel"] == "gabor:2,1"
    assert [each["contender"] for each in found["results"]] == ["im2col", "winograd", "fft"]
    assert [each["verdict"] for each in found["results"]] == ["", "not for this kernel", ""]
    assert found["notes"][1].startswith("im2col's whole matrix would take ")


@pytest.mark.parametrize("mode", ["RGBA", "L"])
def test_a_photo_is_taken_as_the_bank_needs_it(run, picture_file, photo, mode):
    from PIL import Image

    path = picture_file("a.png", Image.fromarray(photo[:40, :50]).convert(mode))
    words = ("--methods", "im2col", "--rounds", "1", "--budget", "5", "--sizes", "50x40")
    assert run("bench", path, "--bank", "laws", *words).status == 0
    result = run("bench", path, "--bank", "2,3,3", *words)
    if mode == "RGBA":
        assert result.status == 0
    else:
        assert result.status == 2
        assert "the bank needs 3 channels, and " in result.message
        assert "has 1 (shape (40, 50, 1))" in result.message


def test_one_of_kernel_and_bank(run):
    result = run("bench", "--bank", "laws", "--kernel", "box:3")
    assert "--kernel and --bank cannot be used together" in result.message
