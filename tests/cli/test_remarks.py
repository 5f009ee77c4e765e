"""The notes of a batch: each once, counted; those of a single image as they are."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from convcli.cli.screen.remarks import Remarks

BLUR = ("blur", "--sigma", "1")


@pytest.mark.parametrize(
    ("notes", "lines"),
    [
        (["dropped its ICC profile"], ["'0': note: dropped its ICC profile"]),
        (3 * ["dropped its XMP"], ["3 images: note: dropped its XMP"]),
        (["a", "b", "b"], ["2 images: note: b", "'0': note: a"]),
        (
            ["dropped 3 extra samples", "dropped 12 extra samples", "dropped 7 extra samples"],
            ["3 images: note: dropped 3 to 12 extra samples"],
        ),
        (
            ["reduced 10-bit channels to 8 bits", "reduced 12-bit channels to 8 bits"],
            ["2 images: note: reduced 10 to 12-bit channels to 8 bits"],
        ),
        (
            ["shortened a frame to 65.535 s", "shortened a frame to 655.35 s"],
            ["2 images: note: shortened a frame to 65.535 to 655.35 s"],
        ),
        # A number inside a name is part of the name.
        (
            ["converted mode I;16 to L", "converted mode I;32 to L"],
            ["'0': note: converted mode I;16 to L", "'1': note: converted mode I;32 to L"],
        ),
        (["tag 0x9003", "tag 0x9004"], ["'0': note: tag 0x9003", "'1': note: tag 0x9004"]),
    ],
)
def test_notes_are_grouped(notes, lines):
    remarks = Remarks()
    for number, note in enumerate(notes):
        remarks.add(f"'{number}'", [note])
    assert [f"{about}: note: {text}" for about, text in remarks.all()] == lines


@pytest.fixture
def palettes(tmp_path, monkeypatch, photo):
    """Forty images of a palette and a broken one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for number in range(40):
        Image.fromarray(photo[:8, :8]).convert("P").save(tmp_path / "in" / f"{number:02}.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path


NOTE = "note: converted mode P to RGB"


def test_forty_equal_notes_are_one_line(run, palettes):
    lines = run(*BLUR, "in", "-r", "-o", "out").err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("convcli: 'in/broken.png': ")
    assert lines[1:] == [f"convcli: 40 images: {NOTE}", "40 written, 1 failed, 0 skipped"]


def test_verbose_names_every_image(run, palettes):
    lines = run(*BLUR, "in", "-r", "-o", "out", "-v").err.splitlines()
    assert sum(line.endswith(f".png': {NOTE}") for line in lines) == 40
    assert not any("images" in line for line in lines)


def test_a_single_image_s_note_stays_as_it_is(run, palettes):
    lines = run(*BLUR, "in/07.png", "-o", "one.png").err.splitlines()
    assert lines[0] == f"convcli: 'in/07.png': {NOTE}"


def test_a_note_on_one_of_many_has_its_name(run, palettes, picture_file):
    picture_file("rgb.png")
    lines = run(*BLUR, "in/07.png", "rgb.png", "-o", "out/").err.splitlines()
    assert lines == [f"convcli: 'in/07.png': {NOTE}", "2 written, 0 failed, 0 skipped"]


def test_quiet_says_errors_only(run, palettes):
    lines = run(*BLUR, "in", "-r", "-o", "out", "-q").err.splitlines()
    assert [line[:24] for line in lines] == ["convcli: 'in/broken.png'"]


def test_json_keeps_the_notes_of_each_image(run, palettes):
    records = [
        json.loads(line)
        for line in run(*BLUR, "in", "-r", "-o", "o", "--json").out.split(b"\n")[:-1]
    ]
    assert sum(record["notes"] == [NOTE[6:]] for record in records) == 40


@pytest.mark.parametrize("command", ["filter", "bench"])
def test_a_second_kernel_is_refused(run, palettes, command):
    result = run(command, "in/07.png", "-k", "box:3", "--kernel", "emboss")
    assert result.status == 2
    assert result.message == (
        "convcli: --kernel was given 2 times, but one kernel is used; run the command once for each"
    )
