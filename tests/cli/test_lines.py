"""Messages: one line of a fixed form on a pipe, and coloured words on a terminal."""

from __future__ import annotations

import io
import os

import pytest

from convcli.cli.screen import lines
from convcli.words import nearest


@pytest.fixture
def standard_error(monkeypatch):
    def standard_error(is_terminal, columns=80, **variables):
        stream = io.StringIO()
        stream.isatty = lambda: is_terminal
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((columns, 24)))
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in {"TERM": "xterm", **variables}.items():
            monkeypatch.setenv(name, value)

    return standard_error


@pytest.mark.parametrize(
    ("make", "pipe", "plain", "coloured"),
    [
        (
            lambda: lines.error("'a.png': is empty"),
            "convcli: 'a.png': is empty",
            "error: 'a.png': is empty",
            "\x1b[31m\x1b[1merror:\x1b[0m 'a.png': is empty",
        ),
        (
            lambda: lines.note("lost its XMP", "'a.png'"),
            "convcli: 'a.png': note: lost its XMP",
            "note: 'a.png': lost its XMP",
            "\x1b[2mnote:\x1b[0m 'a.png': lost its XMP",
        ),
        (
            lambda: lines.note("dropped its text 'a: note: b'", "'a.png'"),
            "convcli: 'a.png': note: dropped its text 'a: note: b'",
            "note: 'a.png': dropped its text 'a: note: b'",
            "\x1b[2mnote:\x1b[0m 'a.png': dropped its text 'a: note: b'",
        ),
        (
            lambda: lines.note("a file: note: b"),
            "convcli: a file: note: b",
            "note: a file: note: b",
            "\x1b[2mnote:\x1b[0m a file: note: b",
        ),
        (
            lambda: lines.note("skipped 3 files"),
            "convcli: skipped 3 files",
            "note: skipped 3 files",
            "\x1b[2mnote:\x1b[0m skipped 3 files",
        ),
    ],
)
def test_how_messages_begin(standard_error, make, pipe, plain, coloured):
    for settings, wanted in (
        ((False, {}), pipe),
        ((True, {"NO_COLOR": "1"}), plain),
        ((True, {"TERM": "dumb"}), plain),
        ((True, {}), coloured),
    ):
        standard_error(settings[0], **settings[1])
        assert make() == wanted


def test_a_terminal_breaks_lines_between_words_and_a_pipe_does_not(standard_error):
    text = "'a-file-with-a-long-name-and-hyphens.png': is not an image in a known format"
    standard_error(True, 30, NO_COLOR="1")
    broken = lines.error(text).splitlines()
    assert max(map(len, broken[2:])) <= 30
    assert " ".join(map(str.strip, broken)) == f"error: {text}"
    assert broken[1].strip() == text.partition(" ")[0]
    assert lines.plain("wrote 'a.blur.png': 960 x 640 RGB, numba") == (
        "wrote 'a.blur.png': 960 x 640\n  RGB, numba"
    )
    standard_error(False, 30)
    assert lines.error(text) == f"convcli: {text}"
    assert lines.plain(f"wrote {text}") == f"wrote {text}"


@pytest.mark.parametrize(
    ("word", "known", "wanted"),
    [
        ("--sgima", ["--sigma", "--show"], "--sigma"),
        ("--SIGMA", ["--sigma"], "--sigma"),
        ("photo.jpg", ["blur", "edge"], ""),
    ],
)
def test_suggestions(word, known, wanted):
    assert nearest(word, known) == wanted
