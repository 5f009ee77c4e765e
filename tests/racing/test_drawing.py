"""The plots of a race: which results they show, where curves cross, and that texts are legible."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convcli import plotting
from convcli.racing import drawing
from convcli.racing.curves import crossovers, described, place, results_across
from convcli.racing.looks import HUES, INK, PAPER
from tests import races

pytest.importorskip("matplotlib")

FEW = ("numpy", "numba", "numba dense", "fft dense", "definition", "scipy.ndimage")


def figure_of(race, across, width=7.0):
    with plotting.settings(drawing._SETTINGS):
        return drawing._figure(race, [across], width)


def texts_of(axes):
    """All texts that are drawn: matplotlib keeps labels beyond the ends of an axis too."""
    yield from axes.texts
    if axes.get_legend():
        yield from axes.get_legend().get_texts()
    for axis in (axes.xaxis, axes.yaxis):
        yield axis.label
        low, high = axis.get_view_interval()
        labels = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
        yield from (label for at, label in labels if low <= at <= high)


def power_law(name, side, factor, power, **changes):
    return races.result(name, 1000, 1000, side, seconds=factor * side**power, **changes)


class TestCurves:
    @pytest.mark.parametrize("across", ["size", "side"])
    def test_the_middle_of_the_longest_curves_is_shown(self, across):
        results = results_across(races.race(("numba",)), across)
        if across == "size":
            assert {result.side for result in results} == {17}
            assert [place(each, across) for each in results] == [0.25, 1, 4, 16]
        else:
            assert {(result.height, result.width) for result in results} == {(2000, 2000)}
            assert [place(each, across) for each in results] == list(races.SIDES)

    def test_a_side_timed_on_every_size_comes_before_others(self):
        race = races.race(("numba",), sides=(5, 9, 17))
        fewer = [each for each in race.results if each.side == 5 or each.height == 500]
        results = results_across(replace(race, results=tuple(fewer)), "size")
        assert {result.side for result in results} == {5}

    def test_sizes_with_equal_numbers_of_pixels_are_told_apart(self):
        race = races.race(("numba",), sizes=((10, 40), (40, 10)), sides=(3, 5))
        assert len({each.height for each in results_across(race, "side")}) == 1

    def test_lines_on_logarithmic_axes_cross_where_powers_do(self):
        """2e-5 k^2 = 1e-2 at k = sqrt(500)."""
        results = [power_law("numba dense", side, 2e-5, 2) for side in (3, 9, 33, 65)]
        results += [power_law("fft dense", side, 1e-2, 0) for side in (3, 9, 33, 65)]
        (found,) = crossovers(results, "side")
        assert found.place == pytest.approx(500**0.5)
        assert found.seconds == pytest.approx(1e-2)
        assert (found.slower, found.faster) == ("numba dense", "fft dense")
        assert described(found, "side") == "fft dense overtakes numba dense at side 22"

    def test_curves_can_cross_twice(self):
        times = {3: (1, 2), 9: (2, 1), 17: (1, 2)}
        results = [
            power_law(name, side, seconds, 0)
            for side, pair in times.items()
            for name, seconds in zip(("numba", "fft"), pair, strict=True)
        ]
        found = crossovers(results, "side")
        assert [(each.slower, each.faster) for each in found] == [
            ("numba", "fft"),
            ("fft", "numba"),
        ]

    def test_the_fastest_of_each_side_counts(self):
        results = [
            power_law(name, side, *law)
            for side in (3, 65)
            for name, law in {
                "numpy dense": (1e-3, 2),
                "numba dense": (1e-4, 2),
                "fft dense": (1, 0),
                "fft-whole": (0.1, 0),
            }.items()
        ]
        (found,) = crossovers(results, "side")
        assert (found.slower, found.faster) == ("numba dense", "fft-whole")
        assert found.place == pytest.approx(1000**0.5)

    @pytest.mark.parametrize(
        ("direct", "fft"),
        [
            ("numba", "fft dense"),  # of other forms
            ("scipy.ndimage", "fft dense"),  # another package
        ],
    )
    def test_other_pairs_do_not_cross(self, direct, fft):
        results = [
            power_law(name, side, *law)
            for side in (3, 65)
            for name, law in {direct: (1e-4, 2), fft: (0.1, 0)}.items()
        ]
        assert crossovers(results, "side") == []

    def test_contenders_without_a_time_do_not_cross(self):
        results = [power_law("fft", side, 1, 0) for side in (3, 65)]
        results.append(replace(results[0], contender="numba", seconds=None, verdict="wrong"))
        assert crossovers(results, "side") == []


class TestFiles:
    @pytest.mark.parametrize(
        ("suffix", "begin"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
    )
    def test_files_have_no_date(self, monkeypatch, suffix, begin):
        files = io.BytesIO(), io.BytesIO()
        for day, file in enumerate(files):
            monkeypatch.setenv("SOURCE_DATE_EPOCH", str(86400 * day))
            drawing.draw(races.race(FEW), file, suffix)
        first, second = (file.getvalue() for file in files)
        assert first.startswith(begin)
        assert first == second

    def test_every_format_is_tested(self):
        assert plotting.FORMATS == (".png", ".svg", ".pdf")

    def test_the_same_race_gives_the_same_file(self):
        race = races.race(FEW)
        assert drawing.svg(race, "side", 7) == drawing.svg(race, "side", 7)


def test_matplotlib_is_left_as_it_was_found():
    code = (
        "import sys\n"
        "from convcli.racing import drawing\n"
        "assert 'matplotlib' not in sys.modules\n"
        "import matplotlib\n"
        "matplotlib.rcParams['font.size'] = 40\n"
        "before = matplotlib.rcParams.copy()\n"
        "from tests import races\n"
        "drawing.svg(races.race(('numba',)), 'size', 7)\n"
        "assert matplotlib.rcParams.copy() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def is_dotted(line):
    _, dashes = line._dash_pattern
    return dashes is not None and dashes[0] < dashes[1]


def timed_below(height):
    race = races.race(FEW)
    late = {"seconds": None, "verdict": "over budget"}
    results = (each if each.height < height else replace(each, **late) for each in race.results)
    return replace(race, results=tuple(results))


class TestFigure:
    @pytest.mark.parametrize("across", ["size", "side"])
    def test_one_curve_a_contender_and_one_point_a_result(self, across):
        race = races.race(FEW)
        results = results_across(race, across)
        (axes,) = figure_of(race, across).axes
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        drawn = {tuple(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) > 1}
        for name in FEW:
            assert tuple(each.seconds for each in results if each.contender == name) in drawn
        assert tuple(each.predicted for each in results if each.contender == "numba") in drawn

    @pytest.mark.parametrize(
        ("names", "words"),
        [
            (FEW, "least predicted"),
            (("numpy", "numba dense", "fft", "tiled dense"), "least predicted"),
            (("numpy", "numba", "fft", "tiled", "dot"), "predicted for auto"),
        ],
    )
    def test_auto_would_take_the_cheapest_plan(self, names, words):
        race = races.race(names)
        plans = [each for each in results_across(race, "side") if each.predicted]
        (axes,) = figure_of(race, "side").axes
        (dotted,) = [line for line in axes.lines if is_dotted(line)]
        assert list(dotted.get_ydata()) == [
            min(each.predicted for each in plans if each.side == side) for side in races.SIDES
        ]
        assert words in [text.get_text() for text in axes.get_legend().get_texts()]

    @pytest.mark.parametrize("across", ["size", "side"])
    def test_points_that_were_extrapolated_are_hollow(self, across):
        race = races.race(FEW)
        results = results_across(race, across)
        (axes,) = figure_of(race, across).axes
        points = [line for line in axes.lines if line.get_marker() in {"o", "^", "s"}]
        hollow = [line for line in points if line.get_markerfacecolor() == PAPER]
        assert len(hollow) == sum(each.is_extrapolated for each in results) > 0

    def test_axes_have_units(self):
        race = races.race(FEW)
        words = {across: drawing.svg(race, across, 7) for across in ("size", "side")}
        assert "image size (megapixels)" in words["size"]
        assert "kernel side (pixels)" in words["side"]
        assert all(f">{unit}<" in words["size"] for unit in ("10 ms", "1 s", "100 s"))
        assert ">0.25<" in words["size"]
        assert ">65<" in words["side"]

    def test_crossovers_are_marked(self):
        race = races.race(FEW)
        (found,) = crossovers(results_across(race, "side"), "side")
        (axes,) = figure_of(race, "side").axes
        assert [found.place] in [list(line.get_xdata()) for line in axes.lines]
        assert f"1: {described(found, 'side')}" in [text.get_text() for text in axes.texts]

    def test_a_contender_without_a_time_is_named_and_not_drawn(self):
        race = races.race(FEW)
        wrong = [
            replace(each, seconds=None, verdict="wrong") if each.contender == "numba" else each
            for each in race.results
        ]
        (axes,) = figure_of(replace(race, results=tuple(wrong)), "side").axes
        words = [text.get_text() for text in axes.texts]
        assert "Not drawn: numba (wrong)" in words
        assert "numba" not in words

    def test_sizes_without_any_time_take_no_room(self):
        race = timed_below(4000)
        (axes,) = figure_of(race, "size").axes
        assert axes.get_xlim()[1] < 16
        assert set(FEW) <= {text.get_text() for text in axes.texts}

    def test_curves_that_end_early_are_named_where_they_end(self):
        from matplotlib.text import Text

        last = {"definition": 33, "numpy dense": 17, "scipy.ndimage": 9}
        race = races.race()
        results = [r for r in race.results if r.side <= last.get(r.contender, 65)]
        figure = figure_of(replace(race, results=tuple(results)), "side")
        figure.draw_without_rendering()
        (axes,) = figure.axes
        texts = {text.get_text(): text for text in axes.texts}
        for name, side in last.items():
            end = axes.transData.transform((side, 1))[0]
            box = Text.get_window_extent(texts[name])
            assert min(abs(box.x0 - end), abs(box.x1 - end)) < 15
            assert axes.bbox.x0 <= box.x0 <= box.x1 <= axes.bbox.x1
        assert not any(text.startswith(("a: ", "b: ")) for text in texts)

    @pytest.mark.parametrize(
        ("sizes", "sides", "kinds"),
        [
            (((500, 500), (900, 900)), (3, 5), ["curves", "curves"]),
            (((500, 500),), (3, 5), ["bars", "curves"]),
            (((500, 500), (900, 900)), (3,), ["curves", "bars"]),
            (((500, 500),), (3,), ["bars"]),
        ],
    )
    def test_one_point_is_a_bar(self, sizes, sides, kinds):
        race = races.race(FEW, sizes, sides)
        figures = [figure_of(race, across) for across in drawing.panels(race)]
        assert ["bars" if figure.axes[0].patches else "curves" for figure in figures] == kinds
        for figure in figures:
            assert len(figure.axes[0].patches) in (0, len(FEW))

    def test_the_title_has_the_width_and_height_of_the_kernel(self):
        race = races.race(("numba",), ((500, 500),), (23,))
        flat = replace(race.results[0], kernel_height=13)
        (axes,) = figure_of(replace(race, results=(flat,)), "side").axes
        titles = [text.get_text() for text in axes.texts]
        assert "gaussian kernel, 23 x 13; image 500 x 500" in titles

    def test_the_fastest_bar_is_on_top(self):
        race = races.race(FEW, ((500, 500),), (3,))
        (axes,) = figure_of(race, "side").axes
        widths = [bar.get_width() for bar in axes.patches]
        assert widths == sorted(widths, reverse=True)

    def test_every_plan_is_marked_at_its_bar(self):
        race = races.race(FEW, ((500, 500),), (3,))
        (axes,) = figure_of(race, "side").axes
        marks = {(line.get_xdata()[0], sum(line.get_ydata()) / 2) for line in axes.lines}
        rows = {label.get_text(): row for row, label in enumerate(axes.get_yticklabels())}
        plans = [each for each in race.results if each.predicted]
        assert marks == {(each.predicted, rows[each.contender]) for each in plans}

    @pytest.mark.parametrize("seconds", [None, 1.0])
    def test_a_race_of_one(self, seconds):
        race = races.race(("numba",), ((1, 1),), (3,))
        one = replace(race.results[0], seconds=seconds, verdict="" if seconds else "over budget")
        assert figure_of(replace(race, results=(one,)), "size").axes

    @pytest.mark.parametrize(
        "kernel", ["$x^2$", r"$\frac$", "\N{CJK UNIFIED IDEOGRAPH-4E2D}", "\udcff\n"]
    )
    def test_a_kernel_may_have_any_name(self, kernel):
        """There is no warning of letters that no font has, and no attempt at formulas."""
        assert "<svg" in drawing.svg(races.race(("numba",), kernel=kernel), "size", 7)

    @pytest.mark.parametrize("width", [7.0, 3.7])
    @pytest.mark.parametrize("sizes", [races.MEGAPIXELS, ((596, 1000),)])
    @pytest.mark.parametrize("sides", [races.SIDES, (17,)])
    def test_texts_neither_overlap_nor_cross_the_edge(self, width, sizes, sides):
        from matplotlib.text import Text

        race = races.race(sizes=sizes, sides=sides)
        figure = figure_of(race, "side", width)
        figure.draw_without_rendering()
        page = figure.bbox
        # Of the texts alone, without the lines that lead to them.
        boxes = {
            text: Text.get_window_extent(text) for text in texts_of(*figure.axes) if text.get_text()
        }
        assert {"definition", "scipy.signal.oaconvolve"} <= {text.get_text() for text in boxes}
        for text, box in boxes.items():
            assert page.x0 <= box.x0 <= box.x1 <= page.x1, text
            assert page.y0 <= box.y0 <= box.y1 <= page.y1, text
        every = list(boxes.items())
        for number, (text, box) in enumerate(every):
            for other, other_box in every[:number]:
                # Boxes are a little higher than their letters.
                wide = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
                high = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
                assert wide <= 0 or high <= 2, (text, other)


def test_panels_can_share_a_page():
    race = races.race(FEW)
    both = "".join(drawing.svg(race, across, w) for across in ("size", "side") for w in (4, 7))
    ids = re.findall(r'\bid="([^"]*)"', both)
    assert len(ids) == len(set(ids)) > 10
    assert set(re.findall(r"url\(#([^)]*)\)", both)) <= set(ids)
    assert set(re.findall(r'href="#([^"]*)"', both)) <= set(ids)
    assert both.count("<svg") == both.count("xmlns=") == 4
    # Nothing is loaded from elsewhere: the addresses left are the names of SVG.
    assert set(re.findall(r"http\S*?(?=\")", both)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert INK not in both
    assert PAPER not in both
    assert both.count("<text") > 20


@pytest.mark.parametrize("ground", ["#ffffff", "#15171c"])
@pytest.mark.parametrize("hue", HUES)
def test_lines_stand_out(hue, ground):
    """By WCAG 2.2's contrast of 3, on white and on the dark page."""
    assert f"--paper: {ground};" in (Path(drawing.__file__).parent / "report.html").read_text()
    lower, upper = sorted(map(luminance, (hue, ground)))
    assert (upper + 0.05) / (lower + 0.05) >= 3


def luminance(colour):
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = (part / 12.92 if part <= 0.04 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@given(st.lists(st.floats(0, 100), max_size=12), st.floats(0.1, 5))
def test_names_keep_their_distance(heights, distance):
    heights.sort()
    room = 100.0
    moved = drawing.spread_out(heights, distance, room)
    assert len(moved) == len(heights)
    assert all(above - below >= distance * 0.999 for below, above in pairwise(moved))
    assert all(-1e-6 <= height <= room + 1e-6 for height in moved)
    if all(above - below > distance for below, above in pairwise(heights)):
        assert moved == pytest.approx(heights)


def test_names_move_apart_evenly():
    assert drawing.spread_out([10, 50, 50, 90], 4, 100) == pytest.approx([10, 48, 52, 90])
