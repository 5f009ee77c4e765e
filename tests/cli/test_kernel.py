"""``convcli kernel``: what it prints and saves."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

from convcli import ConvcliError
from convcli.cli.app import app_for
from convcli.cli.screen.kernels import number_format
from convcli.kernels.files import SUFFIXES, read_kernel
from convcli.kernels.named import NAMED, named_kernel

app = app_for(["kernel"])


@pytest.fixture
def show(capsys, monkeypatch):
    """Run ``convcli kernel`` on a terminal of 80 columns and return its lines."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        words = ["--", *arguments] if arguments else []
        assert not app(["kernel", *words], standalone_mode=False)
        return capsys.readouterr().out.splitlines()

    return run


def cells(lines):
    """Read the printed table back, row by row."""
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]


def test_sobel_is_printed_whole(show):
    assert show("sobel") == [
        "sobel: 3 x 3, sum 0, rank 1",
        "+------------------+",
        "| 0.25 | 0 | -0.25 |",
        "| 0.50 | 0 | -0.50 |",
        "| 0.25 | 0 | -0.25 |",
        "+------------------+",
        "separable: column [0.25 0.5 0.25] times row [1 0 -1]",
    ]


@pytest.mark.parametrize(
    ("kernel", "first"),
    [
        ("gaussian:1.5", "gaussian: 13 x 13, sum 1, rank 1"),
        ("laplacian", "laplacian: 3 x 3, sum 0, rank 2"),
        ("log:1", "log: 9 x 9, sum 0, rank 2"),  # and not -3.65e-17
        ("emboss", "emboss: 3 x 3, sum 1, rank 3"),
        ("box:4,2", "box: 4 x 2, sum 1, rank 1"),
        ("-1 0 1; -2 0 2.5", "-1 0 1; -2 0 2.5: 3 x 2, sum 0.5, rank 2"),
        ("box:100000", "box: 100000 x 100000, sum 1, rank 1"),
        ("disc:300", "disc: 601 x 601, sum 1"),  # a rank that would take seconds to find
    ],
)
def test_the_first_line_says_size_sum_and_rank(show, kernel, first):
    assert show(kernel)[0] == first


@pytest.mark.parametrize("kernel", ["0 0; 0 0", "0", "0 0 0"])
def test_zeros_have_rank_0_and_no_factors(show, kernel):
    first, *table = show(kernel)
    assert first.endswith("sum 0, rank 0")
    assert table[-1].startswith("+-")


@pytest.mark.parametrize("name", [*NAMED, "gaussian:1.5", "gaussian:3", "motion:25,30", "box:25"])
def test_no_weight_is_cut_and_no_row_is_broken(show, name):
    kernel = named_kernel(name)
    lines = show(name)
    assert "…" not in "".join(lines)
    table = cells(lines)
    assert [len(row) for row in table] == [kernel.shape[1]] * kernel.shape[0]
    printed = np.array([[float(cell) for cell in row] for row in table])
    largest = np.abs(kernel.weights).max()
    assert np.abs(printed - kernel.weights).max() <= 0.5e-3 * largest
    # The same number of decimals for all, so that the points are aligned.
    decimals = {len(cell.partition(".")[2]) for row in table for cell in row if cell.strip() != "0"}
    assert len(decimals) == 1


def test_only_a_weight_of_0_is_printed_as_0(show):
    assert cells(show("1 0 0.00001 -0.00001"))[0] == ["1.000", "0", "0.000", "0.000"]


@pytest.mark.parametrize(
    ("weights", "printed"),
    [
        ([1, -2, 30], ["1", "-2", "30"]),
        ([0.5, 0.25, -1], ["0.50", "0.25", "-1.00"]),
        ([1 / 3, 100], ["0.3", "100.0"]),
        ([1234.5, 7], ["1234", "7"]),
        ([1e-9, -2e-9], ["1.000e-09", "-2.000e-09"]),
        ([1e20, 1], ["1.000e+20", "1.000e+00"]),
    ],
)
def test_numbers_have_four_digits_or_as_many_as_they_need(weights, printed):
    spec = number_format(np.array([weights], float))
    assert [format(float(value), spec) for value in weights] == printed


def test_factors_are_printed_where_they_are_cheaper(show):
    assert show("gaussian:20")[1:] == [
        "the weights are too many to print; save them with -o to see all 25921",
        "separable: column [6.692e-06 8.163e-06 9.933e-06 1.206e-05 1.46e-05 1.763e-05 ... "
        "1.763e-05 1.46e-05 1.206e-05 9.933e-06 8.163e-06 6.692e-06] times row [6.692e-06 "
        "8.163e-06 9.933e-06 1.206e-05 1.46e-05 1.763e-05 ... 1.763e-05 1.46e-05 1.206e-05 "
        "9.933e-06 8.163e-06 6.692e-06]",
    ]
    log = show("log:1")
    assert "the sum of 2 separable terms" in log
    assert sum(" times " in line for line in log) == 2
    for dense in ("laplacian", "motion:9,30", "identity", "1 2 3"):
        assert show(dense)[-1].startswith("+-")


@pytest.mark.parametrize(
    ("kernel", "line"),
    [
        (
            "gaussian:300",
            "the weights are too many to print; save them with -o NAME.npy to see all 5764801",
        ),
        (
            "gaussian:20000",
            "the 25600320001 weights are too many to print or save (at most 16777216)",
        ),
    ],
)
def test_only_what_can_be_saved_is_recommended_to_be(show, kernel, line):
    assert show(kernel)[1] == line


def test_a_column_has_as_many_digits_as_a_row(show):
    assert cells(show("0.12345; 0.56789")) == [["0.1235"], ["0.5679"]]


def test_the_middle_of_a_long_line_of_weights_is_left_out(show):
    _, *table, hint = show("motion:60,0")
    assert [cell.count("...") for cell in cells(table)[0]].index(1) == 12
    assert hint == "save them with -o to see all 61"


def test_without_a_kernel_all_are_listed(show):
    lines = show()
    assert len(lines) == len(NAMED)
    for name, line in zip(NAMED, lines, strict=True):
        assert line.startswith(NAMED[name].usage)
        (spelled,) = re.findall(r"\[(\S+): ", line)
        made, usual = read_kernel(spelled), NAMED[name].make()
        np.testing.assert_array_equal(made.weights, usual.weights)


def test_a_kernel_of_a_file_is_shown_by_its_name(show, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("odd\x1b[2J.npy", np.eye(2))
    first = show("odd\x1b[2J.npy")[0]
    assert first == r"odd\x1b[2J.npy: 2 x 2, sum 2, rank 2"


def test_brackets_in_a_name_are_no_markup(show, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("[red]:smile:.npy", np.eye(2))
    assert show("[red]:smile:.npy")[0].startswith("[red]:smile:.npy: 2 x 2")


# --- saving


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_it_saves_what_reads_back_the_same(tmp_path, capsys, suffix):
    path = tmp_path / f"kernel{suffix}"
    assert not app(["kernel", "motion:7,20", "-o", str(path)], standalone_mode=False)
    assert capsys.readouterr().out == ""
    np.testing.assert_array_equal(
        read_kernel(str(path)).weights, named_kernel("motion:7,20").weights
    )


def test_it_does_not_overwrite_unasked(tmp_path):
    path = tmp_path / "kernel.csv"
    path.write_text("7\n")
    with pytest.raises(ConvcliError, match=r"kernel\.csv' exists; use --overwrite to replace it"):
        app(["kernel", "sobel", "-o", str(path)], standalone_mode=False)
    assert path.read_text() == "7\n"
    assert not app(["kernel", "1 2", "-o", str(path), "--overwrite"], standalone_mode=False)
    assert path.read_text() == "1.0,2.0\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["robinson"], "'robinson' is not a kernel; use a name such as gaussian:2"),
        (["gaussian:-1"], "kernel 'gaussian:-1': sigma must be a finite number above 0, not -1"),
        (
            ["sobel", "-o", "sobel.png"],
            "'sobel.png': a kernel can be saved as .npy, .csv, .txt or .json",
        ),
        (["box:100000", "-o", "box.npy"], "dense form has 100000 x 100000 weights"),
    ],
)
def test_what_it_refuses(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConvcliError, match=message):
        app(["kernel", *arguments], standalone_mode=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["robinson"], 2, "convcli: 'robinson' is not a kernel;"),
        (["sobel", "-o", "no/such/folder.csv"], 1, "convcli: 'no/such/folder.csv': No such file"),
    ],
)
def test_a_failure_is_one_line_and_a_status(tmp_path, arguments, status, message):
    done = subprocess.run(
        [sys.executable, "-m", "convcli", "kernel", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert re.fullmatch(re.escape(message) + r".*\n", done.stderr)


def test_the_help_lists_every_name(capsys):
    app(["kernel", "--help"], standalone_mode=False)
    listed = set(re.split(r"[\s,.:]+", capsys.readouterr().out))
    assert set(NAMED) <= listed


def test_a_kernel_may_begin_with_a_minus_sign(capsys):
    assert not app(["kernel", "-1 0 1"], standalone_mode=False)
    assert "| -1 | 0 | 1 |" in capsys.readouterr().out
