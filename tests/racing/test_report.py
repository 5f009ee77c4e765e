"""The page of a race: its texts, that names are escaped, and how a browser shows it."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations, pairwise

import numpy as np
import pytest
from PIL import Image

from convcli.racing import report
from tests import races

pytest.importorskip("matplotlib")

NAMES = ("numpy", "numba", "fft dense", "definition", "dot", "scipy.ndimage", "skimage")
HOSTILE = "<script>alert(1)</script>\"'><b>$title \u202e\udcff\x1b[2J"
MARKER = "alert(1)"
ONE = ("numba",), ((500, 500),), (9,)  # the least to draw
SIZES, SIDES = ((500, 500), (2000, 2000)), (9, 17)
VOID = {"meta", "img", "br", "wbr", "link", "hr", "input"}


class Element:
    def __init__(self, tag, attributes):
        self.tag, self.attributes, self.children = tag, attributes, []

    @property
    def text(self):
        parts = (each if isinstance(each, str) else each.text for each in self.children)
        return "".join(parts).replace("\xa0", " ")

    def all(self, *tags):
        for child in self.children:
            if isinstance(child, Element):
                if child.tag in tags or not tags:
                    yield child
                yield from child.all(*tags)

    def of_class(self, name):
        return [each for each in self.all() if name in each.attributes.get("class", "").split()]


class Page(HTMLParser):
    """A tree of elements, each of which must be closed."""

    def __init__(self, text):
        super().__init__()
        self.open = [Element("page", {})]
        self.feed(text)
        self.close()
        assert [each.tag for each in self.open] == ["page"]

    def handle_starttag(self, tag, attributes):
        element = Element(tag, dict(attributes))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.open[-1].children.append(Element(tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag

    def handle_data(self, data):
        self.open[-1].children.append(data)


def parsed(race):
    return Page(report.page(race)).open[0]


def decoded(source):
    kind, _, data = source.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def notes_of(race):
    """The notes beside the images."""
    notes = [each.text for each in parsed(race).of_class("note")]
    return [each for each in notes if not each.startswith(("Time is", "Differences are"))]


def race_of_all():
    """Right, wrong, failed and extrapolated results, and hostile names."""
    race = races.race(NAMES, SIZES, SIDES, HOSTILE, races.images(NAMES))
    results = []
    for result in race.results:
        changes = {}
        if result.contender == "numba" and result.side == 9:
            changes = {"seconds": 2e-6}
        if result.contender == "skimage":
            changes = {"seconds": None, "verdict": "wrong", "error": 41.0}
        if result.contender == "scipy.ndimage":
            changes = {"seconds": None, "verdict": HOSTILE, "error": None}
        results.append(replace(result, **changes))
    return replace(race, results=tuple(results), machine={**race.machine, HOSTILE: HOSTILE})


@pytest.fixture(scope="module")
def text():
    return report.page(race_of_all())


@pytest.fixture(scope="module")
def page(text):
    return Page(text).open[0]


def rows_of(table):
    (body,) = table.all("tbody")
    rows = {}
    for row in body.all("tr"):
        name, *cells = row.all("th", "td")
        for cell in cells:
            cell.children = [
                each
                for each in cell.children
                if isinstance(each, str) or each.attributes.get("class") != "label"
            ]
        rows[name.text] = row, [cell.text for cell in cells]
    return rows


class TestPage:
    def test_names_are_escaped(self, text, page):
        assert not list(page.all("script"))
        assert not list(page.all("b"))
        assert text.count(MARKER) == text.count(f"&lt;script&gt;{MARKER}&lt;/script&gt;") > 5
        assert not any(MARKER in name for each in page.all() for name in each.attributes)
        assert not {"\u202e", "\udcff", "\x1b"} & set(text)
        assert "$title" in text

    def test_the_page_loads_nothing(self, text, page):
        for element in page.all():
            for name in ("src", "href", "xlink:href", "data", "poster", "action"):
                value = element.attributes.get(name, "#")
                assert value.startswith(("#", "data:image/png;base64,")), (element.tag, value)
        assert not {"link", "iframe", "object", "base", "form"} & {each.tag for each in page.all()}
        assert "@import" not in text
        policies = [each.attributes.get("content", "") for each in page.all("meta")]
        assert any(each.startswith("default-src 'none'; img-src data:;") for each in policies)

    def test_headings_are_in_order(self, page):
        levels = [int(each.tag[1]) for each in page.all("h1", "h2", "h3", "h4", "h5", "h6")]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))

    def test_ids_are_unique(self, page):
        ids = [each.attributes["id"] for each in page.all() if "id" in each.attributes]
        assert len(ids) == len(set(ids))
        named = {each.attributes.get("aria-labelledby") for each in page.all()} - {None}
        assert named <= set(ids)

    def test_the_texts_of_curves_can_be_selected(self, page):
        drawn = list(page.all("svg"))
        assert len(drawn) == 4  # two, for two widths
        for element in drawn:
            assert element.attributes["aria-label"].startswith("Time against ")
            assert {"numba", "definition"} <= {each.text.strip() for each in element.all("text")}

    def test_the_machine_is_named(self, page):
        machine = [each.text for each in page.all("dt", "dd")]
        assert machine[: 2 * len(races.MACHINE)] == [
            word for pair in races.MACHINE.items() for word in pair
        ]

    def test_one_combination_is_one_plot(self):
        page = parsed(races.race(NAMES, ((500, 500),), (9,)))
        assert len(list(page.all("svg"))) == 2
        assert len(list(page.all("table"))) == 1
        assert not list(page.all("h3", "img"))

    @pytest.mark.parametrize(
        ("sizes", "sides", "headings"),
        [
            (SIZES, SIDES, ["Time against image size", "Time against kernel side"]),
            (SIZES[:1], SIDES, ["Time of each contender", "Time against kernel side"]),
            (SIZES, SIDES[:1], ["Time against image size", "Time of each contender"]),
            (SIZES[:1], SIDES[:1], ["Time of each contender"]),
        ],
    )
    def test_bars_are_not_headed_as_curves(self, sizes, sides, headings):
        page = parsed(races.race(("numba", "dot"), sizes, sides))
        assert [each.text for each in page.all("h2")][: len(headings)] == headings
        labels = [each.attributes["aria-label"] for each in page.all("svg")]
        assert [label.split(";")[0] for label in labels[::2]] == headings

    def test_a_race_without_any_time_says_so(self):
        race = races.race(*ONE)
        none = replace(race.results[0], seconds=None, error=None, verdict="over budget")
        page = parsed(replace(race, results=(none,)))
        (lead,) = page.of_class("lead")
        assert lead.text == "No contender has a time in this case."
        (table,) = page.all("table")
        assert rows_of(table)["numba"][1] == ["separable", "over budget", ""]


class TestTable:
    def test_every_result_is_in_a_table(self, page):
        tables = page.of_class("results")
        captions = {next(table.all("caption")).text for table in tables}
        assert captions == {
            f"{width} x {height} pixels ({height * width / 1e6:g} MP), kernel {k} x {k}"
            for height, width in SIZES
            for k in SIDES
        }
        for table in tables:
            assert set(rows_of(table)) == set(NAMES)

    def test_the_fastest_is_first_and_those_without_a_time_last(self, page):
        table = page.of_class("results")[0]
        assert list(rows_of(table)) == [
            "numba", "numpy", "fft dense", "dot", "definition", "scipy.ndimage", "skimage",
        ]  # fmt: skip

    def test_a_row(self):
        """0.25 megapixels in 2 ms; dot takes 1 s, definition 3000 s, by a sixth of the picture."""
        results = (
            races.result("numba", 500, 500, 9, seconds=0.002, memory=2_500_000, error=0.5),
            races.result("dot", 500, 500, 9, seconds=1.0),
            races.result("definition", 500, 500, 9, seconds=3000.0, measured_pixels=40_000),
            races.result("im2col", 500, 500, 9, seconds=4000.0, measured_pixels=15, rounds=1),
        )
        page = parsed(replace(races.race(), results=results))
        (table,) = page.of_class("results")
        rows = rows_of(table)
        assert rows["numba"][1] == [
            "separable", "2 ms", "4%", "125", "2.5 MB", "500", "≈ 1,500,000", "0.5",
        ]  # fmt: skip
        assert rows["dot"][1][5:7] == ["1", "≈ 3,000"]
        assert rows["definition"][1][1] == "≈ 3000 sfrom 0.04 MP"
        assert rows["definition"][1][4] == "≈ 9 MB"
        assert rows["definition"][1][5] == "≈ 0.00033"
        assert rows["im2col"][1][1:3] == ["≈ 4000 sfrom 15 pixels", "\N{EN DASH}"]
        (lead,) = page.of_class("lead")
        assert lead.text == (
            "numba is the fastest with 2 ms for 500 x 500 pixels (0.25 MP), kernel 9 x 9: "
            "500 times as fast as dot and ≈ 1,500,000 times as fast as definition."
        )

    def test_kernels_are_named_by_their_rows_and_columns(self):
        wide, high = (
            races.result("numba", 500, 500, 23, kernel_height=height, kernel_width=width)
            for height, width in ((13, 23), (23, 13))
        )
        text = report.page(replace(races.race(), results=(wide, high))).replace("&nbsp;", " ")
        page = Page(text).open[0]
        captions = [next(table.all("caption")).text for table in page.of_class("results")]
        assert sorted(each.rpartition(", ")[2] for each in captions) == [
            "kernel 13 x 23", "kernel 23 x 13",
        ]  # fmt: skip
        assert "23 x 23" not in text

    def test_wrong_results_have_no_time(self, page):
        row, cells = rows_of(page.of_class("results")[0])["skimage"]
        assert cells == ["separable", "wrong", "41"]
        assert row.of_class("wrong")
        assert not row.of_class("time")

    def test_large_errors_are_whole_numbers(self):
        images = races.images(("numba", "dot"))
        images["dot"][5, 7] = images["numba"][5, 7] ^ 255
        most = int(np.abs(images["dot"].astype(int) - images["numba"]).max())
        wrong = races.result("numba", 500, 500, 9, seconds=None, verdict="wrong", error=217.0)
        page = parsed(replace(races.race(images=images), results=(wrong,)))
        assert rows_of(page.of_class("results")[0])["numba"][1][-1] == "217"
        (pair,) = (each.text for each in page.of_class("pairs")[0].all("td") if each.text)
        assert pair == str(most)
        assert most >= 100

    @pytest.mark.parametrize(("length", "shown"), [(80, "x" * 80), (81, "x" * 79 + "…")])
    def test_long_errors_are_shortened(self, length, shown):
        failed = races.result("numba", 500, 500, 9, seconds=None, verdict="x" * length, error=None)
        page = parsed(replace(races.race(), results=(failed,)))
        assert rows_of(page.of_class("results")[0])["numba"][1][1] == shown

    def test_ratios_need_a_base(self):
        page = parsed(races.race(*ONE))
        assert rows_of(page.of_class("results")[0])["numba"][1][5:7] == ["\N{EN DASH}"] * 2


class TestImages:
    def test_input_and_outputs(self, page):
        (shown,) = page.of_class("images")
        images = list(shown.all("img"))
        assert [each.attributes["alt"] for each in images] == [
            "input",
            *(f"output of {name}" for name in NAMES),
        ]
        expected = race_of_all().images
        for element, pixels in zip(images, expected.values(), strict=True):
            assert np.array_equal(decoded(element.attributes["src"]), pixels)

    def test_a_note_names_their_case(self):
        race = races.race(*ONE, images=races.images(("numba",)))
        (note,) = notes_of(replace(race, images_kernel=(13, 23)))
        assert note == "90 x 60 pixels (0.0054 MP), kernel 13 x 23."
        assert notes_of(race) == ["90 x 60 pixels (0.0054 MP)."]

    @pytest.mark.parametrize("after", [("numba",), ("numba", "dot")])
    def test_contenders_without_an_image_are_named_with_the_reason(self, after):
        images = races.images(after, (500, 500, 1))
        results = [
            *(races.result(name, 500, 500, 9) for name in after),
            races.result("definition", 500, 500, 9, measured_pixels=400),
            races.result("numpy", 500, 500, 9, measured_pixels=400),
            races.result("skimage", 500, 500, 9, seconds=None, verdict="wrong"),
            races.result("fft", 500, 500, 9, seconds=None, verdict=f"<b>{'x' * 100}"),
            races.result("scipy.ndimage", 500, 500, 17, seconds=None, verdict="wrong"),
        ]
        race = replace(races.race(images=images), results=tuple(results), images_kernel=(9, 9))
        assert notes_of(race)[-1] == (
            "Not shown: definition, numpy (timed on a smaller image); "
            f"skimage (wrong); fft (<b>{'x' * 76}…)."
        )

    @pytest.mark.parametrize(("mode", "shape"), [("CMYK", (60, 90, 4)), ("LAB", (60, 90, 3))])
    def test_cmyk_and_lab_are_shown_by_their_first_channel(self, mode, shape):
        """A PNG would take black ink for alpha, and a and b for green and blue."""
        images = races.images(("numba",), shape)
        race = replace(races.race(*ONE, images=images), mode=mode)
        shown = [decoded(each.attributes["src"]) for each in parsed(race).all("img")]
        for picture, pixels in zip(shown, images.values(), strict=True):
            assert np.array_equal(picture, pixels[..., 0])
        assert notes_of(race)[0].endswith(f" Only the first channel of {mode} is shown, as grey.")

    @pytest.mark.parametrize(
        ("mode", "shape"),
        [("RGBA", (60, 90, 4)), ("RGB;16", (60, 90, 3)), ("LA", (60, 90, 2)), ("I;16", (60, 90))],
    )
    def test_modes_of_a_png_are_shown_with_all_channels(self, mode, shape):
        images = {"picture": np.full(shape, 7, np.uint8)}
        race = replace(races.race(*ONE, images=images), mode=mode)
        (shown,) = (decoded(each.attributes["src"]) for each in parsed(race).all("img"))
        assert shown.shape == shape
        assert "first channel" not in notes_of(race)[0]

    def test_every_pair_has_its_difference(self, page):
        (table,) = page.of_class("pairs")
        found = {each.attributes["alt"]: each.attributes["src"] for each in table.all("img")}
        images = race_of_all().images
        assert len(found) == 21
        for first, second in combinations(NAMES, 2):
            difference = np.abs(images[first].astype(int) - images[second]).max(axis=2)
            # A level is a quarter of white.
            thumbnail = decoded(found[f"{first} and {second}: {difference.max()} at most"])
            assert np.array_equal(thumbnail, np.minimum(difference * 255 // 4, 255))
        assert [cell.text for cell in table.all("td")] == ["", *["1"] * 21]

    def test_a_single_pixel_is_not_lost_in_a_thumbnail(self):
        images = races.images(("numba", "fft"), (500, 700, 3))
        images["fft"] = images["numba"].copy()
        images["fft"][499, 699, 1] += 3
        (table,) = parsed(races.race(*ONE, images=images)).of_class("pairs")
        (element,) = table.all("img")
        thumbnail = decoded(element.attributes["src"])
        assert max(thumbnail.shape) <= report._THUMBNAIL
        assert thumbnail[-1, -1] == 3 * 255 // 4
        assert np.count_nonzero(thumbnail) == 1

    def test_large_images_are_reduced_by_means(self):
        pixels = np.zeros((900, 50, 3), np.uint8)
        pixels[:, ::3] = 90
        (shown,) = parsed(races.race(*ONE, images={"picture": pixels})).of_class("images")
        (element,) = shown.all("img")
        small = decoded(element.attributes["src"])
        assert small.shape == (300, 17, 3)
        assert np.unique(small[:, :-1]).tolist() == [30]
        assert np.unique(small[:, -1]).tolist() == [45]

    @pytest.mark.parametrize(
        ("shape", "dtype", "top", "mode"),
        [
            ((40, 50), np.uint8, 255, "L"),
            ((40, 50, 1), np.uint8, 255, "L"),
            ((40, 50, 2), np.uint8, 255, "LA"),
            ((40, 50, 4), np.uint8, 255, "RGBA"),
            ((40, 50, 3), np.uint16, 65535, "RGB"),
            ((40, 50), np.float32, 1.0, "L"),
            ((40, 50, 3), np.float64, 1e4, "RGB"),
        ],
    )
    def test_samples_of_every_dtype(self, shape, dtype, top, mode):
        pixels = np.full(shape, top, dtype)
        pixels[:20] = 0
        level = top * 1e-5 if np.issubdtype(dtype, np.floating) else 1
        pixels[20:, 25:] = top // 2 if top > 1 else 0.5
        other = pixels.copy()
        other[0, 0] = level * 2
        images = {"picture": pixels, "numba": pixels, "fft": other}
        page = parsed(races.race(*ONE, images=images))
        before = next(page.of_class("images")[0].all("img"))
        shown = decoded(before.attributes["src"])
        assert shown.ndim == (2 if mode == "L" else 3)
        assert shown.reshape(40, 50, -1).shape[2] == len(mode)
        assert np.unique(shown[20:, :25]).tolist() == [255]
        assert np.unique(shown[20:, 25:]).tolist() in ([127], [128])
        assert np.unique(shown[:20]).tolist() == [0]
        pair = next(page.of_class("pairs")[0].all("img"))
        assert decoded(pair.attributes["src"])[0, 0] in (127, 128)


# In a browser.


@pytest.fixture(scope="module")
def address(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(text, "utf-8")
    return path.as_uri()


@pytest.fixture
def look(browser, address):
    """Open the page at a width and in a colour scheme; return a function that runs JavaScript."""

    def open_page(width, scheme="light"):
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        browser.get(address)
        return lambda script: browser.execute_script(f"return {script}")

    return open_page


EVERY = "[...document.querySelectorAll('{}')]"
WIDTHS = (360, 768, 1200)


@pytest.mark.parametrize("width", WIDTHS)
class TestBrowser:
    def test_the_console_is_empty(self, browser, look, width):
        ask = look(width)
        assert ask("document.readyState") == "complete"
        assert browser.get_log("browser") == []

    def test_nothing_is_wider_than_the_screen(self, look, width):
        ask = look(width)
        ask(f"{EVERY.format('details')}.forEach(each => each.open = true)")
        assert ask("document.documentElement.clientWidth") <= width
        assert ask("document.documentElement.scrollWidth") <= width
        edges = ask(
            f"{EVERY.format('body *')}.filter(each => !each.closest('.scroll, svg, thead'))"
            ".map(each => each.getBoundingClientRect().right)"
        )
        assert max(edges) <= width + 0.5
        cells = ask(
            f"{EVERY.format('.results td')}.map(each => each.scrollWidth - each.clientWidth)"
        )
        assert max(cells) <= 1  # by rounding

    def test_the_plots_are_legible(self, look, width):
        ask = look(width)
        boxes = ask(
            f"{EVERY.format('svg')}.map(each => each.getBoundingClientRect())"
            ".filter(box => box.width).map(box => [box.left, box.right, box.height])"
        )
        assert len(boxes) == 2
        for left, right, height in boxes:
            assert 0 <= left < right <= width
            assert right - left >= 300
            assert height >= 300
        texts = ask(
            f"{EVERY.format('svg text')}.map(each => ["
            "each.getBoundingClientRect(), each.ownerSVGElement.getBoundingClientRect()])"
            ".filter(([box, around]) => box.width)"
            ".map(([box, around]) => [box.height, around.right - box.right])"
        )
        assert len(texts) > 40
        assert min(height for height, _ in texts) >= 9  # pixels
        assert min(room for _, room in texts) >= 0

    def test_the_images_are_decoded(self, look, width):
        ask = look(width)
        sizes = ask(f"{EVERY.format('img')}.map(each => [each.naturalWidth, each.width])")
        assert len(sizes) == 8 + 21
        assert all(natural > 0 and shown > 20 for natural, shown in sizes)

    def test_headings_are_in_order(self, look, width):
        ask = look(width)
        levels = ask(f"{EVERY.format('h1, h2, h3, h4')}.map(each => +each.tagName[1])")
        assert levels == [1, 2, 2, 2, 3, 2, 2, 2]
        tops = ask(
            f"{EVERY.format('h1, h2, h3, h4')}.map(each => each.getBoundingClientRect().bottom)"
        )
        assert tops == sorted(tops)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_texts_stand_out(self, look, width, scheme):
        """By WCAG 2.2's contrast of 4.5, those of the plots too."""
        ask = look(width, scheme)
        (paper,) = colours(ask, "body")["backgroundColor"]
        assert (luminance(paper) > 0.5) == (scheme == "light")
        words = colours(ask, "h1, p, td, th, dt, figcaption, caption, .wrong")["color"]
        words |= colours(ask, "svg text, svg text *")["fill"]
        assert len(words) == 3  # ink, quiet, wrong
        for colour in words:
            lower, upper = sorted((luminance(paper), luminance(colour)))
            assert (upper + 0.05) / (lower + 0.05) >= 4.5, colour


@pytest.mark.parametrize("width", WIDTHS[1:])  # the first has cards, not columns
def test_a_long_error_message_squeezes_no_column(browser, look, width, tmp_path):
    """Names and figures keep to one line each."""
    results = (
        races.result("scipy.ndimage", 500, 500, 9),
        races.result("numba", 500, 500, 9, seconds=None, verdict="no " * 200, error=None),
        races.result("dot", 500, 500, 9, seconds=None, verdict="x" * 600, error=None),
    )
    path = tmp_path / "long.html"
    path.write_text(report.page(replace(races.race(), results=results)), "utf-8")
    ask = look(width)
    browser.get(path.as_uri())
    heights = ask(
        f"{EVERY.format('.results tbody th')}.map(each => "
        "{ const words = document.createRange(); words.selectNodeContents(each);"
        " return words.getBoundingClientRect().height; })"
    )
    assert len(heights) == 3
    assert max(heights) < 30
    assert ask("document.documentElement.scrollWidth") <= width


def colours(ask, selector):
    """The colours of elements by property; rgb() as numbers."""
    found = defaultdict(set)
    for name in ("color", "backgroundColor", "fill"):
        values = ask(f"{EVERY.format(selector)}.map(each => getComputedStyle(each).{name})")
        for value in values:
            if value.startswith("rgb("):
                found[name].add(tuple(int(part) for part in value[4:-1].split(",")))
    return found


def luminance(colour):
    linear = [
        part / 3294.6 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour
    ]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
