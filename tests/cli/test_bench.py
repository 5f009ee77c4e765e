"""``convcli bench``: the errors before the race, and the tables and files after it."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import re
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from convcli.cli.commands import bench
from convcli.cli.screen.standings import overviews, remarks, standings, winner
from convcli.racing import race as racing
from convcli.racing.contenders import CONTENDERS, Contender
from convcli.racing.results import Result
from tests.terminals import visible

QUICK = ("--methods", "numpy,numpy-dense,winograd", "--rounds", "1", "--budget", "5")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["--methods", "numpy,nubma"], "unknown contender 'nubma'; did you mean 'numba'?"),
        (["--methods", "numpy,ipp"], "unknown contender 'ipp'; choose from numpy, numba, fft,"),
        (["--methods", ""], "unknown contender ''"),
        (["--sizes", "0"], "'0' is not an image size; write megapixels above 0"),
        (["--sizes", "1,-2"], "'-2' is not an image size"),
        (["--sizes", "1,"], "'' is not an image size"),
        (["--sizes", "20000x"], "'20000x' is not an image size"),
        (["--kernels", "4"], "kernel side '4' is not an odd number from 1 to 129"),
        (["--kernels", "0"], "kernel side '0'"),
        (["--kernels", "3,-3"], "kernel side '-3'"),
        (["--kernels", "99999"], "kernel side '99999'"),
        (["--kernels", "3.5"], "kernel side '3.5'"),
        (["--kernel", "box:3", "--kernels", "3"], "--kernel and --kernels cannot be used together"),
        (["--kernel", "sobol"], "'sobol' is not a kernel; did you mean 'sobel'?"),
        (["--rounds", "0"], "--rounds must be at least 1, not 0"),
        (["--budget", "0"], "--budget must be a finite number above 0, not 0"),
        (["--budget", "nan"], "--budget must be"),
        (["--csv", "-", "--json", "-"], "cannot both write to standard output"),
        (["--csv", "there.csv"], "'there.csv' exists; use --overwrite"),
        (["--csv", "nowhere/a.csv"], "--csv 'nowhere/a.csv': there is no folder 'nowhere'"),
        (["--json", "."], "--json '.' is a folder; name a file"),
        (["--csv", "a.csv", "--json", "./a.csv"], "is named twice"),
        (["--json", "photo.png"], "--json 'photo.png': the file name must end in .json"),
        (["--csv", "there.png", "-f"], "--csv 'there.png': the file name must end in .csv"),
        (["--report", "a.pdf"], "--report 'a.pdf': the file name must end in .html or .htm"),
        (["there.csv", "-f", "--csv", "there.csv"], "is named twice"),
        (["-k", "there.csv", "-f", "--csv", "there.csv"], "is named twice"),
        (["--plot", "a.gif"], "'a.gif': the name of a plot must end in .png, .svg or .pdf"),
        (["--plot", "-"], "--plot cannot write to standard output; name a file"),
        (["--report", "there.html"], "exists; use --overwrite"),
    ],
)
def test_bad_arguments_are_errors_before_the_race(run, folder, monkeypatch, argv, reason):
    monkeypatch.setattr(racing, "race", lambda *_: pytest.fail("the race was started"))
    there = ["there.csv", "there.html", "there.png"]
    for name in there:
        (folder / name).write_text("mine")
    result = run("bench", *argv)
    assert (result.status, result.out) == (2, b"")
    assert reason in result.message
    assert sorted(path.name for path in folder.iterdir()) == there
    assert {path.read_text() for path in folder.iterdir()} == {"mine"}


@pytest.mark.parametrize("option", [("--plot", "a.svg"), ("--report", "a.html")])
def test_without_matplotlib_the_error_says_how_to_install_it(run, folder, monkeypatch, option):
    monkeypatch.setattr(racing, "race", lambda *_: pytest.fail("the race was started"))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("bench", *option)
    assert result.status == 2
    assert result.message.endswith("not installed; pip install matplotlib")


@pytest.mark.parametrize("option", [("--plot", "a.svg"), ("--report", "a.html")])
def test_a_broken_matplotlib_is_an_error_before_the_race(run, folder, monkeypatch, option):
    monkeypatch.setattr(racing, "race", lambda *_: pytest.fail("the race was started"))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # to import it is an error
    result = run("bench", *option)
    assert result.status == 2
    assert "convcli: drawing needs matplotlib, which cannot be imported (" in result.message


@pytest.mark.parametrize("methods", ["numpy", "dot", "dot,numpy"])
def test_the_fastest_contender_has_a_time_however_small_the_budget_is(run, methods):
    sizes = ["--sizes", "0.01,0.003,0.02", "--kernels", "3", "--methods", methods]
    result = run("bench", *sizes, "--budget", "1e-9", "--json", "-")
    assert result.status == 0
    timed = [each for each in json.loads(result.out)["results"] if each["seconds"]]
    fastest = methods.rpartition(",")[2]
    assert [each["contender"] for each in timed] == [fastest]
    assert timed[0]["height"] * timed[0]["width"] == pytest.approx(10_000, rel=0.02)


def test_piped_tables_are_ascii(run):
    result = run("bench", "--sizes", "0.002,0.001", "--kernels", "5,3", *QUICK)
    assert (result.status, result.err) == (0, "")
    text = result.text
    assert text.isascii()
    assert "54 x 37 pixels (0.002 MP), by kernel\n" in text
    assert "kernel 5 x 5, by image size\n" in text
    heads = [line for line in text.splitlines() if line.startswith("| contender")]
    assert [[cell.strip() for cell in head.strip("|").split("|")] for head in heads] == [
        ["contender", "3 x 3", "5 x 5"],
        ["contender", "0.000988 MP", "0.002 MP"],
        ["contender", "time", "spread", "", "memory", "error"],
    ]
    assert sum(line.startswith("| numpy dense ") for line in text.splitlines()) == 3


def test_sizes_with_equal_numbers_of_pixels_have_a_column_each(run):
    text = run("bench", "--sizes", "40x10,10x40,30x30", "--kernels", "3", *QUICK).text
    (head,) = (line for line in text.splitlines() if "40 x 10" in line and "|" in line)
    cells = [cell.strip() for cell in head.strip("|").split("|")]
    assert cells[0] == "contender"
    assert sorted(cells[1:]) == ["10 x 40", "30 x 30", "40 x 10"]


def test_every_result_is_exported(run, folder):
    argv = ("--sizes", "40x30", "--kernels", "3", *QUICK)
    printed = run("bench", *argv, "--json", "-", "--csv", "all.csv")
    assert (printed.status, printed.err) == (0, "wrote 'all.csv'\n")
    whole = json.loads(printed.out)
    found = [(r["contender"], r["width"], r["height"], r["side"]) for r in whole["results"]]
    assert found == [(name, 40, 30, 3) for name in ("numpy", "numpy dense", "winograd")]
    assert all(r["seconds"] > 0 and r["verdict"] == "" for r in whole["results"])
    table = list(csv.DictReader(io.StringIO((folder / "all.csv").read_text())))
    assert [row["contender"] for row in table] == ["numpy", "numpy dense", "winograd"]
    assert float(table[0]["seconds"]) == whole["results"][0]["seconds"]
    assert list(table[0]) == list(whole["results"][0])
    assert run("bench", *argv, "--csv", "all.csv").status == 2
    assert run("bench", *argv, "--csv", "all.csv", "-f").status == 0


def test_the_input_can_be_a_file_or_a_pipe(run, picture_file):
    path = picture_file("photo.png")
    result = run("bench", path, "--kernel", "0 1 0; 2 3 4", "--json", "-", *QUICK[2:])
    results = json.loads(result.out)["results"]
    assert {(r["height"], r["width"], r["side"]) for r in results} == {(48, 64, 3)}
    timed = {r["contender"] for r in results if r["seconds"] is not None}
    assert {"numpy dense", "fft dense", "im2col", "scipy.ndimage"} <= timed
    assert {r["verdict"] for r in results} <= {"", "not for this kernel", "not installed"}
    piped = run(
        "bench", "-", "--sizes", "0.001", "--kernels", "3", "--json", "-", *QUICK,
        stdin=path.read_bytes(),
    )  # fmt: skip
    assert {(r["height"], r["width"]) for r in json.loads(piped.out)["results"]} == {(27, 37)}


def test_a_pipe_with_a_name_is_read_once(run, folder, picture_file):
    """A shell's ``<(...)`` makes one; opened again, it would block for ever."""
    content = picture_file("photo.png").read_bytes()
    os.mkfifo("fifo")
    writer = threading.Thread(target=Path("fifo").write_bytes, args=(content,), daemon=True)
    writer.start()
    argv = ("--kernels", "3", "--json", "-", *QUICK)
    results = json.loads(run("bench", "fifo", *argv).out)["results"]
    assert {(r["height"], r["width"]) for r in results} == {(48, 64)}
    writer.join()


@pytest.mark.parametrize("name", ["absent.png", "text.png"])
def test_an_unreadable_input_is_named(run, folder, name):
    (folder / "text.png").write_text("not an image")
    result = run("bench", name)
    assert (result.status, result.out) == (1, b"")
    assert result.message.startswith(f"convcli: '{name}': ")


def test_a_wrong_contender_is_named(run, monkeypatch):
    monkeypatch.setitem(
        CONTENDERS, "liar", Contender("peer", "dense", lambda image, _: 255 - image)
    )
    result = run("bench", "--sizes", "0.001", "--kernels", "3", "--methods", "numpy,liar")
    assert result.status == 0
    (row,) = (line for line in result.text.splitlines() if line.startswith("| liar"))
    assert row.split("|")[2].strip() == "wrong"
    assert "\nliar is wrong: 38 x 26 pixels (0.000988 MP), kernel 3 x 3: its largest error is " in (
        result.text
    )


def test_plot_and_report_are_written_after_the_race(run, folder):
    files = ("--plot", "c.SVG", "--report", "r.html")
    for name in ("c.SVG", "r.html"):
        (folder / name).write_text("mine")
    argv = ("--sizes", "0.001", "--kernels", "3", "-f", *QUICK)
    assert run("bench", *files, *argv).status == 0
    assert (folder / "c.SVG").read_text().startswith("<?xml")
    assert (folder / "r.html").read_text().startswith("<!DOCTYPE html>")
    assert len(list(folder.iterdir())) == 2


def test_a_file_that_cannot_be_written_is_named_and_the_others_are_written(
    run, folder, monkeypatch
):
    """A file of that name appears during the race."""

    def race(*arguments, found=racing.race):
        (folder / "a.csv").write_text("theirs")
        return found(*arguments)

    monkeypatch.setattr(racing, "race", race)
    argv = ("--sizes", "0.001", "--kernels", "3", *QUICK)
    result = run("bench", "--csv", "a.csv", "--json", "a.json", *argv)
    said = "convcli: 'a.csv': File exists\nwrote 'a.json'\n"
    assert (result.status, result.err) == (1, said)
    assert (folder / "a.csv").read_text() == "theirs"
    assert json.loads((folder / "a.json").read_bytes())["results"]


def result_of(contender, seconds, measured=2_000_000, **more):
    usual = {"spread": 0.25, "rounds": 2, "memory": 10**7, "error": 0.0, "verdict": ""}
    return Result(
        contender, "method", "dense", height=1000, width=2000, side=9, kernel_height=9,
        kernel_width=9, seconds=seconds, measured_pixels=measured, predicted=None, **(usual | more),
    )  # fmt: skip


RESULTS = [
    result_of("definition", 1024.0, 20, memory=None),
    result_of("dot", 4.0, 20_000),
    result_of("numba", 0.001, memory=3 * 10**9),
    result_of("liar", None, verdict="wrong", error=7.0, rounds=0),
    result_of("eater", None, verdict="changes its input", rounds=0),
    result_of("broken", None, verdict="ValueError: no", error=None, memory=None, rounds=0),
    result_of("winograd", None, verdict="not for this kernel", error=None, rounds=0),
    result_of("absent", None, verdict="not installed", error=None, rounds=0),
    result_of("late", None, verdict="over budget", error=None, rounds=0),
]


def test_the_tables_name_the_width_and_height_of_a_kernel(run):
    text = run("bench", "--sizes", "0.001,0.002", "-k", "1 2 1", *QUICK).text
    assert "kernel 3 x 1, by image size\n" in text
    assert ", kernel 3 x 1\n" in text


def lines(table, width=300):
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue().splitlines()


def test_the_table_ranks_results_and_marks_extrapolated_ones():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines(standings(RESULTS, 300, fancy=False))[3:-1]
    ]
    assert rows == [
        ["numba", "1 ms", "25%", "#", "4,000", "1,000,000", "3.0 GB", "0"],
        ["dot", "~4 s", "25%", "#" * 15, "1", "260", "~10.0 MB", "0"],
        ["definition", "~1024 s", "25%", "#" * 24, "0.0039", "1", "", "0"],
        ["liar", "wrong", "", "", "", "", "10.0 MB", "7"],
        ["eater", "wrong", "", "", "", "", "10.0 MB", "0"],
        ["broken", "failed", "", "", "", "", "", ""],
        ["winograd", "-", "", "", "", "", "10.0 MB", ""],
        ["late", "over budget", "", "", "", "", "10.0 MB", ""],
    ]


@pytest.mark.parametrize("width", [40, 50, 60, 80, 99, 100, 120])
@pytest.mark.parametrize("fancy", [True, False])
def test_the_table_fits_its_terminal(width, fancy):
    names = [result_of(name, 10.0**-i) for i, name in enumerate(["scipy.fftconvolve", *"abcdef"])]
    shown = lines(standings([*RESULTS, *names], width, fancy), width)
    assert max(map(len, shown)) <= width
    assert not any("…" in line for line in shown)
    assert any("█" in line for line in shown) == (fancy and width > 40)


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        (120, ["time", "spread", "", "x dot", "x definition", "memory", "error"]),
        (80, ["time", "", "x dot", "x definition", "memory", "error"]),
        (72, ["time", "", "x dot", "x definition", "memory"]),
        (60, ["time", "", "x dot", "x definition"]),
        (45, ["time", "", "x dot"]),
        (40, ["time", ""]),
        (32, ["time"]),
    ],
)
def test_a_narrow_terminal_shows_the_columns_that_matter(width, heads):
    shown = lines(standings(RESULTS, width, fancy=False), width)
    head = [cell.strip() for cell in shown[1].strip("|").split("|")]
    assert head == ["contender", *heads]
    assert max(map(len, shown)) <= width
    assert not any("…" in line or "..." in line for line in shown)


def test_the_fastest_is_marked():
    def marked(table):
        file = io.StringIO()
        Console(file=file, width=99, force_terminal=True, color_system="standard").print(table)
        return re.findall(r"\x1b\[1;32m *([^\x1b ][^\x1b]*?) *\x1b", file.getvalue())

    slow, fast = (result_of(name, time) for name, time in (("slow", 2e-3), ("fast", 1e-3)))
    wider = [replace(each, side=11, kernel_width=11, kernel_height=11) for each in (slow, fast)]
    wider[0] = replace(wider[0], seconds=0.5e-3)
    assert marked(standings([slow, fast], 99, fancy=True))[:2] == ["fast", "1 ms"]
    ((_, table),) = overviews([slow, fast, *wider], slow.case, fancy=True)
    assert marked(table) == ["500 us", "1 ms"]
    assert list(winner([slow, fast])) == ["fast is the fastest: 1 ms"]
    assert not list(winner([fast]))  # there was no race
    assert not marked(standings([fast], 99, fancy=True))


def test_large_errors_are_whole_numbers():
    liar = result_of("liar", None, verdict="wrong", error=217.0)
    assert " 217 " in "".join(lines(standings([liar], 80, fancy=False)))


def test_remarks_explain_the_signs_that_occur():
    assert list(remarks(RESULTS)) == [
        "~ timed on a smaller image and scaled by the number of pixels",
        "not installed: absent",
        "liar is wrong: 2000 x 1000 pixels (2 MP), kernel 9 x 9: its largest error is 7",
        "eater is wrong: 2000 x 1000 pixels (2 MP), kernel 9 x 9: it changes its input",
        "broken failed: 2000 x 1000 pixels (2 MP), kernel 9 x 9: ValueError: no",
        "- not for this kernel: winograd (winograd needs 3 x 3 weights; skimage a Gaussian; numpy, "
        "numba, fft and tiled a separable kernel with fewer weights in its factors; with -dense "
        "they accept any kernel)",
        "over budget: 1 of 9 were not timed; raise --budget",
    ]
    assert list(remarks(RESULTS[2:3])) == []
    assert list(overviews(RESULTS, (1000, 2000, 9, 9), fancy=False)) == []


@pytest.fixture
def redrawn(monkeypatch):
    """Standard error is a terminal that is redrawn at every change."""
    monkeypatch.setattr("convcli.cli.commands.bench._REFRESH_SECONDS", 0)
    terminal = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(
        "convcli.cli.commands.bench.sys", SimpleNamespace(stderr=terminal, stdout=sys.stdout)
    )
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.usefixtures("redrawn")
def test_a_terminal_shows_the_standings_during_the_race(run):
    """They go to standard error, and nothing of them to standard output."""
    result = run("bench", "--sizes", "0.001", "--kernels", "3", "--json", "-", *QUICK)
    assert result.status == 0
    json.loads(result.out)
    assert "warming up" in result.err
    assert "case 1 of 1" in result.err
    assert "numpy dense" in result.err


def test_a_notice_has_a_line_of_its_own_above_the_standings(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", stream := Terminal())
    with bench._shown_live([]):
        logging.getLogger("convcli").info("compiling the loops")
    assert visible(stream.getvalue()) == ["note: compiling the loops"]


def test_remarks_wrap_at_the_edge_of_a_terminal(terminal):
    seen = terminal("bench", "--sizes", "0.001", "--kernels", "5", *QUICK, columns=50).text
    lines = seen[seen.index("- not for this kernel") :].splitlines()
    assert len(lines) > 2
    assert all(len(line) <= 50 for line in lines)


@pytest.mark.usefixtures("redrawn")
def test_an_interrupt_leaves_the_standings_visible(run, monkeypatch):
    def interrupted(image, kernel):
        if kernel.shape == (3, 3) or image.shape[0] == 1:
            return image
        raise SystemExit(9)  # as the signal handler does, plus 128, before the process dies

    monkeypatch.setitem(CONTENDERS, "last", Contender("peer", "dense", interrupted))
    argv = ("--sizes", "0.001", "--kernels", "3,5", "--methods", "numpy,last")
    result = run("bench", *argv)
    assert (result.status, result.out) == (9, b"")
    assert "contender" in visible(result.err)[0]


def test_an_output_of_another_shape_is_wrong_and_every_file_is_written(run, folder, monkeypatch):
    """Its error is infinite, which JSON cannot have."""
    monkeypatch.setitem(
        CONTENDERS, "short", Contender("peer", "dense", lambda image, _: image[:-1])
    )
    files = ("--json", "r.json", "--csv", "r.csv", "--report", "r.html")
    result = run("bench", "--sizes", "0.001", "--kernels", "3", "--methods", "numpy,short", *files)
    assert result.status == 0
    assert "short is wrong" in result.text
    assert "its output has another shape or type" in result.text
    errors = {
        r["contender"]: r["error"] for r in json.loads(Path("r.json").read_bytes())["results"]
    }
    assert errors["short"] is None
    assert Path("r.csv").exists()
    assert Path("r.html").exists()


def test_if_every_contender_failed_the_status_is_1(run, folder, monkeypatch):
    def fails(image, kernel):
        raise RuntimeError("out of order")

    monkeypatch.setitem(CONTENDERS, "short", Contender("peer", "dense", lambda i, _: i[:-1]))
    monkeypatch.setitem(CONTENDERS, "fails", Contender("peer", "dense", fails))
    argv = ("--sizes", "0.001", "--kernels", "3", "--methods", "short,fails", "--json", "r.json")
    result = run("bench", *argv)
    assert result.status == 1
    assert result.err.endswith("convcli: no contender has a time: every one failed\n")
    assert "fails failed" in result.text
    assert len(json.loads(Path("r.json").read_bytes())["results"]) == 2


def test_a_kernel_that_is_too_large_is_refused_at_once(run):
    result = run("bench", "-k", "gaussian:5000", "--sizes", "0.25")
    assert (result.status, result.out) == (2, b"")
    assert result.message == (
        "convcli: kernel 'gaussian': its dense form has 40001 x 40001 weights; "
        "the limit is 16777216"
    )


def test_a_small_budget_is_for_the_table_that_is_printed(run):
    names = "numpy,numpy-dense,fft-dense,dot"
    result = run("bench", "--budget", "0.6", "--methods", names)
    table = result.text[result.text.index("1225 x 816 pixels (1 MP), kernel 9 x 9") :]
    assert re.search(r"numpy +\| +~?[\d.]+ m?s", table)


def test_if_no_contender_can_run_the_error_says_why(run):
    result = run("bench", "--methods", "winograd", "--kernels", "5", "--sizes", "0.001")
    assert (result.status, result.out) == (2, b"")
    assert result.message == (
        "convcli: no contender can run: winograd is not for this kernel; "
        "numpy-dense is always installed and accepts any kernel"
    )


def test_a_contender_that_takes_only_some_of_the_kernels_runs_with_those(run):
    argv = ("--methods", "winograd", "--kernels", "3,5", "--sizes", "0.001", "--json", "-")
    results = json.loads(run("bench", *argv).out)["results"]
    assert {r["side"]: r["verdict"] for r in results} == {3: "", 5: "not for this kernel"}


def test_the_input_is_timed_in_three_sizes(run, picture_file, photo):
    path = picture_file("own.png", photo)
    argv = (path, "--kernels", "3", "--methods", "numpy", "--json", "-", "--rounds", "1")
    sizes = {(r["width"], r["height"]) for r in json.loads(run("bench", *argv).out)["results"]}
    height, width = photo.shape[:2]
    assert sizes == {(width // part, height // part) for part in (4, 2, 1)}


def test_a_race_with_a_huge_kernel_keeps_its_budget(run):
    """The definition would take ten seconds to check the oracle."""
    argv = ("--sizes", "0.001", "--kernel", "gaussian:200", "--methods", "numba", "--budget", "5")
    assert "numba" in run("bench", *argv).text
