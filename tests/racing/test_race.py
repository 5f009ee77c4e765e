"""A race: contenders do the same work, wrong ones have no time, and the clock is fair."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest

from convcli import ConvcliError
from convcli.kernels.gaussian import gaussian_kernel
from convcli.kernels.kernel import kernel_from
from convcli.racing import contenders, measure, oracle, pictures
from convcli.racing import race as racing
from convcli.racing.cases import Case, cases_of, middle_of
from convcli.racing.contenders import CONTENDERS, FILTERS, Contender, chosen
from convcli.racing.export import as_csv, as_json
from convcli.racing.oracle import Oracle, oracle_for
from convcli.racing.race import race
from convcli.racing.results import speed_beside
from convcli.running import packages
from tests.oracles import assert_same_picture, scipy_convolve

KERNELS = {
    "gaussian 3": gaussian_kernel(0.5, radius=1),
    "gaussian 9": gaussian_kernel(1.5, radius=4),
    "asymmetric 3": kernel_from([[2, 1, 0], [1, 1, -1], [0.5, -1, -2]]),
    "even": kernel_from(np.random.default_rng(0).random((4, 6)) / 12),
}


def picture(height, width, dtype="uint8", channels=1):
    rng = np.random.default_rng(1)
    if dtype.startswith("u"):
        return rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype=dtype)
    return rng.random((height, width, channels)).astype(dtype)


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        (name, kernel)
        for name, contender in CONTENDERS.items()
        for kernel in KERNELS
        if contender.is_installed and contender.takes(KERNELS[kernel])
    ],
)
@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 1), ("uint16", 3), ("float32", 3)])
def test_every_contender_does_the_same_work(name, kernel, dtype, channels):
    contender, wanted = CONTENDERS[name], KERNELS[kernel]
    image = picture(19, 26, dtype, channels)
    result = contender.work(image, wanted)
    assert result.dtype == image.dtype
    assert_same_picture(result, scipy_convolve(image, wanted.weights, "reflect"))
    assert oracle_for(image, wanted).error(result)[1]


def test_tiled_takes_part_where_numba_is_broken(monkeypatch):
    """It then spreads numpy's loop, as every filter does."""
    monkeypatch.setattr(packages, "_broken", {"numba": "cannot be imported"})
    image, wanted = picture(19, 26), KERNELS["asymmetric 3"]
    made = contenders._plan("tiled", "dense", image.shape, image.dtype, wanted)
    assert made.route.loop == "direct_numpy"
    result = CONTENDERS["tiled"].work(image, wanted)
    assert_same_picture(result, scipy_convolve(image, wanted.weights, "reflect"))


def test_which_contender_takes_which_kernel():
    takes = {
        kernel: {name for name, each in CONTENDERS.items() if not each.takes(KERNELS[kernel])}
        for kernel in KERNELS
    }
    winograd, factors = {"winograd", "winograd-4x4"}, {"numpy", "numba", "fft", "tiled"}
    assert takes == {
        "gaussian 3": set(),
        "gaussian 9": winograd,
        "asymmetric 3": factors | {"skimage"},
        "even": factors | winograd | {"skimage"},
    }


@pytest.mark.parametrize(
    "kernel", [gaussian_kernel((1, 2)), gaussian_kernel(1, radius=0), kernel_from(np.ones((3, 3)))]
)
def test_skimage_takes_only_square_gaussians(kernel):
    assert not CONTENDERS["skimage"].takes(kernel)


def test_contenders_are_chosen_by_name():
    assert chosen([]) == tuple(CONTENDERS)
    assert chosen(["Numba-Dense", " im2col", "numba dense"]) == ("numba dense", "im2col")
    with pytest.raises(ConvcliError, match=r"contender 'nubma'; did you mean 'numba'\?"):
        chosen(["numpy", "nubma"])
    with pytest.raises(ConvcliError, match=r"contender 'xyz'; choose from numpy, .*skimage"):
        chosen(["numpy", "xyz"])


def test_the_oracle_allows_what_methods_may_differ_by():
    right = np.full((20, 20, 1), 100, np.uint8)
    judge = Oracle(right)
    assert judge.error(right.copy()) == (0.0, True)
    near = right.copy()
    near[0, :4] += 1
    assert judge.error(near) == (1.0, True)
    near[1, 0] += 1  # the fifth of 400 samples
    assert judge.error(near) == (1.0, False)
    far = right.copy()
    far[3, 3] -= 2
    assert judge.error(far) == (2.0, False)
    few = Oracle(right[:3, :3])
    assert few.error(near[:3, 3:6]) == (1.0, True)  # one of nine
    assert few.error(near[:3, 2:5]) == (1.0, False)
    floats = Oracle(right.astype(np.float32))
    assert floats.error(floats.right + np.float32(0.0009))[1]
    assert not floats.error(floats.right + np.float32(0.002))[1]
    assert not judge.error(right[..., 0])[1]
    assert not judge.error(right.astype(np.int16))[1]
    assert not judge.error(None)[1]


def test_a_wrong_oracle_is_not_trusted(monkeypatch):
    image, kernel = picture(12, 15), KERNELS["gaussian 9"]
    asked = []

    def broken(given, kernel, method, **options):
        asked.append(method)
        total = convolve(given, kernel, method="numpy", **options)
        if method in wrong:
            total[0, 0] += 1e-3
        return total

    convolve = oracle.convolve
    monkeypatch.setattr(oracle, "convolve", broken)
    wrong = {"auto"}
    assert oracle_for(image, kernel).error(CONTENDERS["numpy"].work(image, kernel))[1]
    assert asked == ["auto", "numpy"]
    wrong = {"auto", "numpy"}
    with pytest.raises(ConvcliError, match="differ from the definition"):
        oracle_for(image, kernel)


class Clock:
    """A clock that only runs of contenders advance."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.calls = []
        self.monkeypatch = monkeypatch
        for module in (racing, measure):
            monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def enter(self, name, cost, **settings):
        """Add a contender whose call `n` for a number of pixels takes ``cost(pixels, n)``."""
        numbers = defaultdict(int)

        def work(image, kernel):
            pixels = image.shape[0] * image.shape[1]
            self.now += cost(pixels, numbers[pixels])
            numbers[pixels] += 1
            self.calls.append((name, pixels))
            return CONTENDERS["numpy dense"].work(image, kernel)

        self.monkeypatch.setitem(CONTENDERS, name, Contender("peer", "dense", work, **settings))


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def run(names, height=40, width=50, kernel="gaussian 3", rounds=3, budget=100.0, **more):
    image = picture(height, width)
    return race(image, [Case(height, width, KERNELS[kernel])], names, rounds, budget, **more)


def test_the_best_round_counts_and_the_warm_up_does_not(clock):
    # On the whole image: the warm-up, then the rounds.
    clock.enter("a", lambda pixels, n: [9, 3, 1, 2][n] if pixels == 2000 else pixels / 2000)
    clock.enter("b", lambda pixels, n: pixels / 1000)
    first, second = run(["a", "b"]).results
    assert (first.seconds, first.spread, first.rounds) == (1.0, 2.0, 3)
    assert (second.seconds, second.spread, second.rounds) == (2.0, 0.0, 3)
    assert first.measured_pixels == 2000
    # The warm-up and the first round, the faster first; then one after the other.
    whole = [name for name, pixels in clock.calls if pixels == 2000]
    assert whole == ["a", "a", "b", "b", "b", "a", "a", "b"]


def test_compiling_the_oracle_does_not_count(clock):
    costs = iter([1000.0])

    def compiling(*arguments):
        clock.now += next(costs, 0.0)
        return oracle_for(*arguments)

    for name in ("a", "b"):
        clock.enter(name, lambda pixels, n: pixels * 1e-4)
    field = FILTERS._replace(oracle_for=compiling)
    found = run(["a", "b"], budget=100.0, field=field)
    assert [result.verdict for result in found.results] == ["", ""]


def test_slow_contenders_are_timed_on_a_smaller_image(clock):
    clock.enter("slow", lambda pixels, n: pixels * 0.02)
    clock.enter("quick", lambda pixels, n: pixels * 1e-5)
    slow, quick = run(["slow", "quick"], 80, 100, budget=300).results
    assert quick.measured_pixels == 8000
    assert 1000 <= slow.measured_pixels <= 4000
    assert slow.seconds == pytest.approx(160)  # scaled by the pixels
    assert quick.seconds == pytest.approx(0.08)
    assert clock.now <= 300
    assert slow.memory is None or slow.memory > 0


@pytest.mark.parametrize(("height", "width"), [(80, 100), (1, 8000), (8000, 1), (31, 33)])
def test_no_time_is_scaled_from_fewer_than_a_thousand_pixels(clock, height, width):
    clock.enter("slow", lambda pixels, n: pixels * 0.02)
    clock.enter("far too slow", lambda pixels, n: pixels * 0.2)
    slow, slower = run(["slow", "far too slow"], height, width, budget=100).results
    assert slow.measured_pixels >= 1000
    assert slow.seconds == pytest.approx(0.02 * height * width)
    assert (slower.seconds, slower.verdict) == (None, "over budget")
    assert clock.now <= 110


def test_smaller_images_are_timed_whole(clock):
    clock.enter("slow", lambda pixels, n: pixels * 0.02)
    (slow,) = run(["slow"], 20, 30, budget=60, rounds=1).results
    assert (slow.measured_pixels, slow.seconds) == (600, pytest.approx(12))


def test_the_middle_case_has_times_if_any_has(clock):
    """Its table is the one that is printed."""
    clock.enter("slow", lambda pixels, n: pixels * 0.002)
    cases = cases_of([(20, 100), (30, 100), (40, 100)], [KERNELS["gaussian 3"]])
    results = race(picture(40, 100), cases, ["slow"], 3, 5.0).results
    assert [result.height for result in results] == [20, 30, 40]
    assert [result.seconds is not None for result in results] == [False, True, False]


def test_half_of_the_time_is_for_timing(clock):
    """Estimates alone would use up a small budget."""
    for number in range(10):
        clock.enter(f"c{number}", lambda pixels, n: 0.2 + pixels * 1e-5)
    results = run([f"c{number}" for number in range(10)], budget=4.0).results
    assert 1 <= sum(result.seconds is not None for result in results) < 10
    assert clock.now <= 5 + 10 * 0.2  # the ten that are prepared do not count


def test_a_kernel_that_is_too_large_is_refused_at_once(clock):
    clock.enter("a", lambda pixels, n: 1.0)
    with pytest.raises(ConvcliError, match="its dense form has 40001 x 40001 weights"):
        race(picture(40, 50), [Case(40, 50, gaussian_kernel(5000))], ["a"], 1, 1.0)
    assert clock.now == 0


def test_time_that_fast_contenders_leave_is_for_slow_ones(clock):
    clock.enter("a", lambda pixels, n: pixels * 1e-2)
    clock.enter("b", lambda pixels, n: pixels * 1e-4)
    slow, _ = run(["a", "b"], budget=130).results
    assert slow.measured_pixels == 2000  # 20 seconds each time, of 130 / 4 / 2


def test_start_up_is_not_scaled(clock):
    """Worker processes take as long to start for a few pixels as for all of them."""
    clock.enter("starts", lambda pixels, n: 0.05 + pixels * 1e-5)
    (result,) = run(["starts"], budget=0.5).results
    assert (result.measured_pixels, result.seconds) == (2000, pytest.approx(0.07))


def test_slow_contenders_sit_out_later_rounds(clock):
    # Slower than it looked: 100 seconds, though 10 of them were foreseen.
    clock.enter("a", lambda pixels, n: 100 if pixels == 2000 else pixels / 200)
    clock.enter("b", lambda pixels, n: pixels * 1e-4)
    first, second = run(["a", "b"], budget=300, rounds=4).results
    assert (first.rounds, second.rounds) == (1, 4)


def test_a_budget_too_small_for_any_contender_is_an_error(clock):
    clock.enter("a", lambda pixels, n: pixels * 1.0)
    with pytest.raises(ConvcliError, match=r"budget of 0.5 s is too small to time any"):
        run(["a"], budget=0.5)


def test_contenders_that_are_not_reached_are_over_budget(clock):
    clock.enter("a", lambda pixels, n: 100 if pixels == 4800 else pixels / 200)
    cases = [Case(40, 50, KERNELS["gaussian 3"]), Case(60, 80, KERNELS["gaussian 3"])]
    results = race(picture(60, 80), cases, ["a"], 1, 150.0).results
    assert [r.verdict for r in results] == ["over budget", ""]
    assert [r.seconds for r in results] == [None, pytest.approx(100)]


def test_memory_bounds_the_image(clock, monkeypatch):
    monkeypatch.setattr(racing.memory, "available", lambda: 16_000_000)
    image = picture(300, 400)
    case = Case(300, 400, KERNELS["gaussian 9"])
    im2col, numpy = race(image, [case], ["im2col", "numpy"], 1, 1e6).results
    assert numpy.measured_pixels == 120_000
    assert im2col.measured_pixels * 81 * 4 <= 4_000_000
    assert im2col.memory == pytest.approx(81 * 4 * 120_000, rel=0.3)


def test_im2col_holds_a_copy_of_the_image_for_each_weight():
    names = ["im2col", "windows"]
    image = picture(90, 100)
    im2col, windows = race(image, [Case(90, 100, KERNELS["gaussian 9"])], names, 1, 20.0).results
    assert (im2col.measured_pixels, windows.measured_pixels) == (9000, 9000)
    assert 1 <= im2col.memory / (81 * 4 * 9000) < 1.2
    assert windows.memory < im2col.memory / 5


def test_the_race_goes_on_when_contenders_fail(monkeypatch):
    def wrong(image, kernel):
        result = CONTENDERS["numpy"].work(image, kernel)
        result[0, 0] += 2
        return result

    def failing(image, kernel):
        raise RuntimeError("out of ideas")

    def failing_later(image, kernel):
        if image.shape[0] > 20:
            raise MemoryError
        return CONTENDERS["numpy"].work(image, kernel)

    for name, work in (("wrong", wrong), ("failing", failing), ("later", failing_later)):
        monkeypatch.setitem(CONTENDERS, name, Contender("peer", "dense", work))
    monkeypatch.setitem(
        CONTENDERS, "absent", Contender("peer", "dense", failing, packages=("no_such_package",))
    )
    names = ["wrong", "failing", "later", "absent", "winograd", "numpy dense"]
    found = run(names, kernel="gaussian 9", rounds=1, budget=20.0)
    verdicts = {result.contender: result.verdict for result in found.results}
    assert verdicts == {
        "wrong": "wrong",
        "failing": "RuntimeError: out of ideas",
        "later": "needs more memory than there is",
        "absent": "not installed",
        "winograd": "not for this kernel",
        "numpy dense": "",
    }
    timed = [result.contender for result in found.results if result.seconds is not None]
    assert timed == ["numpy dense"]
    assert found.results[0].error == 2
    assert list(found.images) == ["picture", "numpy dense"]


def test_writing_into_the_input_is_wrong_and_spoils_no_other_result(monkeypatch):
    def in_place(image, kernel):
        result = CONTENDERS["numpy dense"].work(image, kernel)
        image += 1
        return result

    # The faster runs first; and an image of one row is cropped without a copy.
    monkeypatch.setitem(CONTENDERS, "in place", Contender("peer", "dense", in_place))
    for height, width in ((40, 50), (1, 60)):
        image = picture(height, width)
        given = image.copy()
        case = Case(height, width, KERNELS["gaussian 3"])
        found = race(image, [case], ["in place", "numpy dense"], 1, 20.0)
        assert [r.verdict for r in found.results] == ["changes its input", ""]
        assert found.results[0].is_wrong
        assert found.results[0].seconds is None
        assert np.array_equal(image, given)
        assert list(found.images) == ["picture", "numpy dense"]


def test_a_kernel_is_named_by_its_width_and_height():
    kernel = kernel_from([[1, 2, 1]])
    (result,) = race(picture(20, 30), [Case(20, 30, kernel)], ["numpy dense"], 1, 20.0).results
    assert (result.side, result.kernel_height, result.kernel_width) == (3, 1, 3)
    assert result.kernel_name == "3 x 1"


def test_a_race_needs_no_other_package(monkeypatch):
    monkeypatch.setattr(contenders, "find_spec", lambda name: None)
    names = [name for name, each in CONTENDERS.items() if each.kind == "peer"]
    results = run([*names, "numpy"], rounds=1).results
    assert [r.verdict for r in results] == ["not installed"] * len(names) + [""]


def test_a_race_describes_itself():
    kernels = [KERNELS["gaussian 3"], KERNELS["gaussian 9"]]
    seen = []
    cases = cases_of([(20, 30), (30, 40)], kernels)
    found = race(
        picture(30, 40), cases, ["numpy", "fft dense"], 1, 20.0,
        lambda number, results: seen.append((number, len(results))), "LAB",
    )  # fmt: skip
    assert found.kernel == "gaussian"
    assert (found.mode, found.images_kernel) == ("LAB", (9, 9))
    assert {"processor", "cores", "Python", "numpy", "convcli"} <= set(found.machine)
    places = [(r.height, r.width, r.side, r.contender) for r in found.results]
    assert places == [
        (case.height, case.width, case.kernel.shape[0], name)
        for case in cases
        for name in ("numpy", "fft dense")
    ]
    assert all(r.seconds > 0 and r.predicted > 0 and r.kind == "method" for r in found.results)
    assert [r.form for r in found.results[:2]] == ["separable", "dense"]
    assert {name: image.shape for name, image in found.images.items()} == {
        "picture": (20, 30), "numpy": (20, 30), "fft dense": (20, 30),
    }  # fmt: skip
    assert {number for number, _ in seen} == set(range(len(cases)))
    assert {length for _, length in seen} == {2}


def test_samples_that_are_nan_are_refused():
    image = picture(20, 20, "float32")
    image[3, 3] = np.nan
    with pytest.raises(ConvcliError, match="infinite or NaN samples"):
        race(image, [Case(20, 20, KERNELS["even"])], ["numpy"], 1, 1.0)


def test_sizes_and_kernels_meet_in_the_middle():
    kernels = [gaussian_kernel(1, radius=r) for r in (4, 1, 2)]
    cases = cases_of([(20, 20), (10, 10), (30, 30), (10, 10)], kernels)
    assert [(case.height, case.kernel.shape[0]) for case in cases] == [
        (10, 5), (20, 3), (20, 5), (20, 9), (30, 5),
    ]  # fmt: skip
    assert middle_of(cases) is cases[2]
    assert middle_of(cases_of([(9, 9)], kernels)).kernel.shape == (5, 5)


def test_the_generated_image_is_always_the_same_and_textured():
    first, again = pictures.made(60, 90), pictures.made(60, 90)
    np.testing.assert_array_equal(first, again)
    assert (first.shape, first.dtype) == ((60, 90, 1), np.uint8)
    assert first.std() > 40
    assert len({row.tobytes() for row in first}) == 60


def test_images_are_cropped_or_mirrored_to_a_size():
    image = picture(3, 4, channels=2)
    np.testing.assert_array_equal(pictures.sized(image, 2, 3), image[:2, :3])
    large = pictures.sized(image, 6, 8)
    np.testing.assert_array_equal(large[:3, :4], image)
    np.testing.assert_array_equal(large[3:, 4:], image[::-1, ::-1])
    np.testing.assert_array_equal(pictures.middle_part(image, 1, 2), image[1:2, 1:3])


@pytest.mark.parametrize(
    ("word", "size"),
    [("1", (1000, 1000)), ("0.25", (500, 500)), ("1000x596", (596, 1000)), ("4e-6", (2, 2))],
)
def test_sizes_are_megapixels_or_width_and_height(word, size):
    assert pictures.size_of(word, (7, 7)) == size


def test_a_size_has_one_pixel_at_least():
    assert pictures.size_of("1e-300", (2, 3)) == (1, 1)


BAD_SIZES = ["", "0", "-1", "nan", "inf", "1e9", "x", "10x", "0x10", "10x10x10", "99999x2"]


@pytest.mark.parametrize("word", BAD_SIZES)
def test_other_sizes_are_refused(word):
    with pytest.raises(ConvcliError, match="is not an image size; write megapixels above 0"):
        pictures.size_of(word, (2, 3))


def test_a_race_that_does_not_fit_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(pictures.memory, "available", lambda: 1_000_000)
    pictures.check_memory(100, 100, 1)
    with pytest.raises(
        ConvcliError, match=r"2000 x 1000 pixels needs about 48 MB .* 1 MB are free"
    ):
        pictures.check_memory(1000, 2000, 1)


def test_csv_and_json_have_every_result_and_the_speeds(clock):
    clock.enter("dot", lambda pixels, n: pixels * 1e-3)
    clock.enter("definition", lambda pixels, n: pixels * 1e-2)
    clock.enter("quick", lambda pixels, n: pixels * 1e-5)
    clock.enter("absent", lambda pixels, n: 1.0, packages=("no_such_package",))
    found = run(["dot", "definition", "quick", "absent"], budget=1e4)
    whole = json.loads(as_json(found))
    assert whole["kernel"] == "gaussian"
    assert whole["machine"] == found.machine
    speeds = [(r["times_dot"], r["times_definition"]) for r in whole["results"]]
    assert speeds[2] == (pytest.approx(100), pytest.approx(1000))
    assert speeds[3] == (None, None)
    table = list(csv.DictReader(io.StringIO(as_csv(found).decode())))
    assert [row["contender"] for row in table] == ["dot", "definition", "quick", "absent"]
    assert float(table[2]["seconds"]) == pytest.approx(0.02)
    assert table[3]["seconds"] == ""
    assert table[3]["verdict"] == "not installed"
    assert speed_beside("missing", found.results[0], found.results) is None
