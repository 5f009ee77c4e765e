"""The plan: what each word stands for, and what auto chooses and why."""

from __future__ import annotations

import builtins
import importlib
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

import convcli
from convcli.errors import ConvcliError
from convcli.filtering import convolution
from convcli.kernels.derivatives import log_kernel
from convcli.kernels.gaussian import gaussian_kernel
from convcli.kernels.kernel import kernel_from
from convcli.kernels.named import box_kernel
from convcli.loops import direct_numba
from convcli.loops.decimation import decimations
from convcli.planning import choice as planning
from convcli.planning import costs, methods, tiles
from convcli.planning.methods import PRESETS
from convcli.running import execute
from tests.plans import planned

DENSE = kernel_from(np.random.default_rng(0).normal(size=(31, 31)))
WORDS = list(PRESETS)
ENTRIES = ("correlate", "dense", "separable", "magnitude", "magnitude_of_any_size",
           "magnitude_wide", "magnitude_wide_of_any_size", "thin", "blur_rows",
           "interpolate")  # fmt: skip


def plan_of(work, **options):
    """Return the plan that a filter carries out."""
    plans = []
    work(**options, on_plan=plans.append)
    return plans[0]


@pytest.mark.parametrize("method", WORDS)
def test_a_word_is_its_preset(method):
    plan = planned((4000, 6000, 3), "uint8", gaussian_kernel(3.0), method, 2)
    assert plan.method == method
    assert plan.route.loop == PRESETS[method].loop
    assert plan.route.executor == PRESETS[method].executor
    assert plan.route.workers == 2
    assert set(plan.predicted) == set(WORDS)
    assert plan.seconds == plan.predicted[method] > 0


@pytest.mark.parametrize("method", WORDS)
def test_separable_where_that_is_cheaper(method):
    assert planned((1000, 1000), "uint8", gaussian_kernel(9), "numpy").route.form == "separable"
    assert planned((1000, 1000), "uint8", log_kernel(3.0), "numpy").route.rank == 2
    assert planned((1000, 1000), "uint8", DENSE, method).route.form == "dense"
    for form in ("separable", "dense"):
        assert planned((100, 100), "uint8", DENSE, method, form=form).route.form == form


def slow_numba(loop, *_):
    return 0.3 * (loop == "direct_numba")


def test_auto_takes_direct_loops_for_small_kernels_and_transforms_for_large_ones(monkeypatch):
    monkeypatch.setattr(planning, "loading", lambda *_: 0.0)
    for shape in [(64, 64), (1000, 1500, 3), (4000, 6000, 3)]:
        assert planned(shape, "uint8", gaussian_kernel(3)).method == "numba"
    large = kernel_from(np.random.default_rng(0).normal(size=(101, 101)))
    assert planned((4000, 6000), "uint8", large).method == "fft"


def test_a_small_picture_is_not_worth_starting_numba(monkeypatch):
    monkeypatch.setattr(planning, "loading", slow_numba)
    plan = planned((300, 400, 3), "uint8", gaussian_kernel(2))
    assert plan.method in ("numpy", "fft")
    assert "loading numba's loops would take longer" in plan.reason
    assert planned((4000, 6000, 3), "uint8", gaussian_kernel(9), images=9).method == "numba"
    many = planned((300, 400, 3), "uint8", gaussian_kernel(2), images=100_000)
    assert many.method == "numba"


def test_a_small_picture_imports_neither_numba_nor_pathos():
    code = (
        "import sys, numpy, convcli;"
        "convcli.blur(numpy.zeros((300, 400, 3), 'uint8'), 2.0);"
        "print([m for m in ('numba', 'pathos', 'PIL', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("dtype", "exact", "accumulator"),
    [
        ("uint8", False, "float32"),
        ("float32", False, "float32"),
        ("uint16", False, "float64"),
        ("float64", False, "float64"),
        ("uint8", True, "float64"),
    ],
)
def test_sums_are_kept_in_a_float_that_is_exact_enough(dtype, exact, accumulator):
    plan = planned((9, 9), dtype, gaussian_kernel(1), exact=exact)
    assert plan.route.accumulator == accumulator


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    ("kernel", "form", "accumulator"),
    [
        (gaussian_kernel(300), "separable", "float32"),
        (box_kernel(2001), "separable", "float32"),
        (kernel_from((np.eye(15) + 1) / 240), "dense", "float32"),
        (kernel_from((np.eye(19) + 1) / 380), "dense", "float64"),
        (convcli.kernel("disc:20"), "dense", "float32"),  # 1,200 equal ones, eight at a time
    ],
)
def test_equal_weights_round_to_one_side(kernel, form, dtype, accumulator):
    assert planning.accumulator_for(dtype, [kernel], form) == accumulator


@pytest.mark.parametrize(
    ("dtype", "exact", "kernel", "accumulator"),
    [
        ("uint8", False, DENSE.scaled(1 / DENSE.l1_norm), "float32"),
        ("uint8", False, DENSE, "float64"),  # its weights are too large for float32
        ("uint8", False, kernel_from(np.eye(63) + 1), "float64"),  # whole, and too many
        ("uint8", False, gaussian_kernel(300), "float64"),  # separable
        ("uint8", True, DENSE.scaled(1 / DENSE.l1_norm), "float64"),
        ("uint16", False, DENSE.scaled(1 / DENSE.l1_norm), "float64"),
        ("float32", False, DENSE.scaled(1 / DENSE.l1_norm), "float64"),
    ],
)
def test_transforms_are_float32_where_they_may_and_can_be(
    dtype, exact, kernel, accumulator, transforms
):
    plan = planned((2000, 2000), dtype, kernel, "fft", exact=exact)
    assert plan.route.accumulator == (accumulator if transforms == "scipy" else "float64")


def test_levels_that_come_as_floats_are_not_transformed_in_float32(monkeypatch):
    monkeypatch.setattr(planning, "importing_scipy", lambda: 0.0)
    pytest.importorskip("scipy.fft")
    kernel = DENSE.scaled(1 / DENSE.l1_norm)
    sums = [
        planned((2000, 2000), "uint8", kernel, "fft", as_floats=light).route.accumulator
        for light in (False, True)
    ]
    assert sums == ["float32", "float64"]


def test_scipy_is_imported_only_where_it_saves_more_than_that_takes(monkeypatch):
    monkeypatch.delitem(sys.modules, "scipy.fft", raising=False)
    kernel = DENSE.scaled(1 / DENSE.l1_norm)
    assert planned((500, 500), "uint8", kernel, "fft").route.accumulator == "float64"
    assert planned((500, 500), "uint8", kernel, "fft", images=1000).route.accumulator == "float32"
    assert planned((9000, 9000), "uint8", kernel, "fft").route.accumulator == "float32"


def test_float64_transforms_predict_a_longer_time_than_float32(transforms):
    kernel = DENSE.scaled(1 / DENSE.l1_norm)
    float32, float64 = (
        planned((2000, 2000), "uint8", kernel, "fft", exact=exact).seconds
        for exact in (False, True)
    )
    assert (float32 < float64) == (transforms == "scipy")


@pytest.mark.parametrize("method", WORDS)
def test_larger_samples_light_and_alpha_predict_a_longer_time(method, monkeypatch):
    monkeypatch.setattr(planning, "loading", lambda *_: 0.0)

    def predicted(dtype="uint8", **options):
        image = np.full((300, 300, 4), 100, dtype)
        return plan_of(partial(convcli.blur, image, 2), method=method, **options).seconds

    assert predicted() < predicted("float32")
    assert predicted() < predicted(linear=True)
    assert predicted() < predicted(alpha="weight") < predicted(alpha="weight", linear=True)


@pytest.mark.parametrize("size", [(1, 1), (64, 64, 3)])
@pytest.mark.parametrize("method", WORDS)
def test_the_smallest_picture_takes_a_call(size, method, monkeypatch):
    monkeypatch.setattr(planning, "loading", lambda *_: 0.0)
    seconds = planned(size, "uint8", gaussian_kernel(1), method, 1).seconds
    least = costs._CALL * 1e-9 + (costs._POOL_START if method == "tiled" else 0)
    assert least < seconds < least + 0.001


def test_wide_boxes_are_for_compiled_loops_and_not_for_transforms(monkeypatch):
    """Their transforms do not fit into the cache: they took 4.8 times as long as once predicted."""
    monkeypatch.setattr(planning, "loading", lambda *_: 0.0)
    for shape in [(1000, 1000), (4000, 6000), (4000, 6000, 3)]:
        assert planned(shape, "uint8", box_kernel(1001), workers=2).method == "numba"


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 9000, 1), (9000, 1, 3), (4000, 6000, 3)], ids=str)
@pytest.mark.parametrize("side", [(1, 1), (31, 31), (127, 3), (900, 901)], ids=str)
@pytest.mark.parametrize("cores", [1, 2, 7])
def test_tiles_of_blocks_are_pieces_of_the_picture(size, side, cores):
    rows, columns = tiles.tile_of_blocks(size, side, cores)
    assert 1 <= rows <= size[0]
    assert 1 <= columns <= size[1]
    if size[0] > 1000:
        assert -(-size[0] // rows) * -(-size[1] // columns) >= min(cores, size[1])


@pytest.mark.parametrize(
    ("size", "kernel", "regions"),
    [
        ((100, 400, 3), (3, 3), (100, 200)),  # the halo along the cut is the shorter one
        ((400, 100, 3), (3, 3), (200, 100)),
        ((1, 400, 1), (3, 3), (1, 200)),
        ((200, 200, 1), (41, 1), (200, 100)),  # a tall kernel: cut beside it, not across
        ((200, 200, 1), (1, 41), (100, 200)),
    ],
)
def test_tiles_are_cut_along_the_axis_that_divides_best(size, kernel, regions):
    plan = planned(size, "uint8", kernel_from(np.ones(kernel)), "tiled", 2)
    assert plan.route.regions == regions


@pytest.mark.parametrize("missing", ["numba", "pathos"])
def test_what_is_not_installed_is_left_out_or_named(missing, monkeypatch):
    found = methods.find_spec
    monkeypatch.setattr(methods, "find_spec", lambda name: None if name == missing else found(name))
    methods.is_installed.cache_clear()
    try:
        method = {"numba": "numba", "pathos": "tiled"}[missing]
        with pytest.raises(ConvcliError, match=f"needs the package {missing}.*pip install"):
            planned((9, 9), "uint8", DENSE, method)
        assert method not in planned((9, 9), "uint8", DENSE).predicted
    finally:
        methods.is_installed.cache_clear()


@pytest.mark.parametrize("method", ["auto", "tiled", "fft"])
def test_a_broken_package_is_planned_without(method):
    without = {"numba": "cannot be imported", "scipy": "cannot be imported"}
    task = {"images": 1000, "without": without}  # so many that compiling would pay
    plan = planned((4000, 6000), "uint8", gaussian_kernel(3.0), method, **task)
    assert plan.route.loop in ("direct_numpy", "overlap_add")
    assert "numba" not in plan.predicted
    assert not {"numba", "scipy"} & set(plan.needs)


def test_a_method_whose_package_is_broken_is_refused():
    with pytest.raises(ConvcliError, match="'numba' needs the package numba, which is too old; "):
        planned((9, 9), "uint8", DENSE, "numba", without={"numba": "is too old"})


TASKS = {
    "blur": ("uint8", gaussian_kernel(3.0), {}),
    "wide": ("uint8", gaussian_kernel(20.0), {"decimations": decimations((20.0, 20.0))}),
    "dense": ("uint8", DENSE, {}),
    "small weights": ("uint8", DENSE.scaled(1 / DENSE.l1_norm), {}),
    "floats": ("float32", gaussian_kernel(3.0), {"exact": True}),
    "edge": ("uint8", convcli.sobel_kernels(), {"is_magnitude": True}),
}


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("method", ["auto", *WORDS])
@pytest.mark.parametrize("images", [1, 10_000])
def test_planning_imports_nothing_and_changes_nothing(name, method, images, monkeypatch, tmp_path):
    dtype, kernels, more = TASKS[name]
    home = tmp_path / "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))

    real = builtins.__import__

    def refuse(name, *arguments, **more):
        if name.partition(".")[0] != "numpy":  # which imports parts of itself again
            raise AssertionError(f"planning imports {name}")
        return real(name, *arguments, **more)

    before = set(sys.modules)
    with monkeypatch.context() as patch:
        patch.setattr(importlib, "import_module", refuse)
        patch.setattr(builtins, "__import__", refuse)
        plan = planned((2000, 3000, 3), dtype, kernels, method, images=images, **more)
    assert set(sys.modules) == before
    assert not home.exists()
    assert plan.method in WORDS


def test_printing_a_plan_says_what_why_and_what_else():
    text = str(convcli.plan((4000, 6000, 3), "uint8", gaussian_kernel(3.0), "fft", 2))
    assert "fft: as requested" in text
    assert "gaussian 25 x 25" in text
    assert "2 threads" in text
    for method in WORDS:
        assert f"{method} " in text


def test_workers_default_to_every_core_of_this_process():
    assert methods.worker_count(None) >= 1
    assert methods.worker_count(7) == 7


@pytest.mark.parametrize("method", WORDS)
def test_ten_thousand_workers_are_not_started(method):
    most = 16 * methods.worker_count(None)
    assert methods.worker_count(10_000) == most
    plan = planned((4000, 6000, 3), "uint8", DENSE, method, 10_000)
    assert plan.route.workers <= most


@pytest.mark.parametrize("method", ["numpy", "numba"])
@pytest.mark.parametrize(
    "size", [(64, 1_000_000, 1), (1, 1_000_000, 1), (4000, 6000, 3), (900, 30, 3)]
)
@pytest.mark.parametrize("cores", [2, 16])
def test_every_core_gets_a_piece(method, size, cores):
    plan = planned(size, "uint8", gaussian_kernel(100), method, cores)
    assert plan.route.workers >= (cores if size[1] > 30 else 2)


@pytest.mark.parametrize(
    ("side", "kernel", "workers"),
    [(300, "narrow", 1), (1000, "narrow", 2), (300, "dense", 2), (4000, "narrow", 2)],
)
def test_a_second_thread_is_used_where_there_is_enough_to_do(side, kernel, workers):
    kernel = DENSE if kernel == "dense" else gaussian_kernel(3)
    assert planned((side, side), "uint8", kernel, "numba", 2).route.workers == workers


def test_a_wide_blur_of_a_small_image_is_done_by_one_thread():
    images = [np.zeros((side, side), np.uint8) for side in (200, 2000)]
    plans = [
        plan_of(partial(convcli.blur, image, 8.0), method="numba", workers=2) for image in images
    ]
    assert [(plan.route.form, plan.route.workers) for plan in plans] == [
        ("decimated", 1), ("decimated", 2),
    ]  # fmt: skip


@pytest.mark.parametrize("side", [8, 16, 32])
def test_numpy_takes_few_operations_for_tiny_images(side):
    """Each tap is an operation, which takes a microsecond even of no samples."""
    assert planned((side, side), "uint8", gaussian_kernel(3), "numpy").route.form == "separable"


def test_the_reason_speaks_of_numba_only_where_it_would_have_won(monkeypatch):
    monkeypatch.setattr(planning, "loading", slow_numba)
    dense = kernel_from(np.random.default_rng(0).normal(size=(81, 81)))
    plan = planned((3000, 4000), "uint8", dense)
    assert plan.method == "fft"
    assert "numba" not in plan.reason


@pytest.mark.parametrize(("method", "side"), [("numpy", 500), ("numba", 1500), ("fft", 1500)])
def test_predictions_are_of_the_right_size(method, side):
    """Within a factor of 10: a wrong unit is found. Processor time does not see a busy machine."""
    image = np.zeros((side, side), np.uint8)
    for kernel in (gaussian_kernel(3), DENSE):
        times = []
        for _ in range(3):
            start = time.process_time()
            convcli.convolve(image, kernel, method=method, workers=1)
            times.append(time.process_time() - start)
        measured = min(times)
        predicted = planned(image.shape, "uint8", kernel, method, 1).seconds
        assert 0.1 < measured / predicted < 10


@pytest.fixture
def cold(monkeypatch):
    """No loop is compiled; return a function that sets whether they are kept, or can be."""

    def state(kept=False, place=True):
        monkeypatch.setattr(costs.machine_code, "is_loaded", lambda *_: False)
        monkeypatch.setattr(costs.machine_code, "is_kept", lambda *_: kept)
        monkeypatch.setattr(costs.machine_code, "can_be_kept", lambda: place)
        monkeypatch.setattr(costs.machine_code, "_missed", {})

    state()
    return state


THUMBNAIL, PHOTO = (300, 400, 3), (4000, 6000, 3)


@pytest.mark.parametrize("place", [True, False])
@pytest.mark.parametrize(
    ("shape", "images", "compiles"),
    [
        (THUMBNAIL, 1, (False, False)),
        (THUMBNAIL, 10, (False, False)),
        (THUMBNAIL, 40_000, (True, True)),
        ((1500, 2000, 3), 1, (False, False)),  # saves 36 ms
        (PHOTO, 1, (True, False)),  # saves 0.3 s
        (PHOTO, 40, (True, True)),
        ((8000, 11_000, 3), 40, (True, True)),
    ],
)
def test_compiling_costs_what_a_person_waits_for_it(shape, images, compiles, place, cold):
    """Where the code can be kept, later runs of the kind bear their share."""
    cold(place=place)
    compiles = compiles[0 if place else 1]
    plan = planned(shape, "uint8", gaussian_kernel(3), workers=2, images=images)
    assert (plan.method == "numba") == compiles
    assert ("compiled first" in plan.reason) == compiles
    assert ("numba" in plan.needs) == compiles
    if compiles:
        often = "once" if place else "each time: they cannot be kept"
        assert plan.reason.endswith(f"which takes 1 to 4 s, {often}")
        assert plan.missed is None


def test_a_single_image_waits_for_the_compiler_only_if_that_saves_more(cold):
    """Of 400 megapixels and 7 x 7 weights, which take numpy many seconds on one core."""
    cold(place=False)
    kernel = kernel_from(np.random.default_rng(0).normal(size=(7, 7)))
    plan = planned((20_000, 20_000, 3), "uint8", kernel, workers=1)
    others = [plan.predicted[word] for word in ("numpy", "fft")]
    assert min(others) > plan.predicted["numba"] > costs.COMPILING
    assert plan.method == "numba"


def test_the_reason_says_what_was_not_compiled(cold):
    cold(place=False)
    plan = planned(PHOTO, "uint8", gaussian_kernel(3), workers=2)
    assert plan.reason.endswith(
        "; compiling and loading numba's loops would take longer than it could save; "
        "'convcli warmup' compiles them once for later runs"
    )
    assert plan.missed[:2] == ("separable", "uint8")
    assert 0.05 < plan.missed.seconds < costs.COMPILING
    assert plan.predicted["numba"] > costs.COMPILING


def test_what_is_kept_is_not_compiled(cold):
    cold(kept=True)
    plan = planned(PHOTO, "uint8", gaussian_kernel(3), workers=2)
    assert (plan.method, plan.missed) == ("numba", None)
    assert "compil" not in plan.reason


def test_small_images_load_what_is_kept_when_they_have_lost_as_much(cold):
    """A caller's loop over thumbnails, each of which alone is not worth loading a loop."""
    cold(kept=True)
    shape = (300, 400)
    plan = planned(shape, "uint8", gaussian_kernel(3), workers=2)
    assert plan.method == "numpy"
    assert 0 < plan.missed.seconds < costs.COSTS["direct_numba"].start_up
    calls = 0
    while plan.missed and calls < 100:
        costs.machine_code.miss(*plan.missed)
        plan = planned(shape, "uint8", gaussian_kernel(3), workers=2)
        calls += 1
    assert plan.method == "numba"
    assert 0 < calls < 50


@pytest.mark.parametrize(
    ("dtype", "kernel", "holes"),
    [
        ("uint8", gaussian_kernel(3), ("separable", "float32")),
        ("uint16", gaussian_kernel(3), ("separable", "float64")),
        ("float32", gaussian_kernel(3), ("separable", "float32")),
        ("uint8", kernel_from(np.eye(9)), ("correlate", "float32")),
    ],
)
def test_the_loop_for_missing_samples_is_compiled_before(monkeypatch, dtype, kernel, holes):
    monkeypatch.setattr(costs.machine_code, "is_loaded", lambda *what: what != holes)
    monkeypatch.setattr(costs.machine_code, "is_kept", lambda *_: False)
    assert "numba" in planned((900, 900), dtype, kernel, "numba", leaves_out=True).needs
    plan = planned((900, 900), dtype, kernel, "numba")
    assert ("numba" in plan.needs) == (dtype == "float32")


def test_auto_compiles_when_a_process_has_lost_as_much_as_that_takes(cold, monkeypatch):
    """A stream or a loop of unknown length: at most twice the time of the better choice.

    The image that tells what is lost counts as the first.
    """
    image = np.zeros((1000, 1500, 3), np.uint8)
    seconds = plan_of(partial(convcli.blur, image, 3.0), workers=1).missed.seconds
    monkeypatch.setattr(costs, "COMPILING", 2.5 * seconds * costs.RUNS)
    monkeypatch.setattr(execute, "run_in_threads", lambda *_, **__: None)
    used = [plan_of(partial(convcli.blur, image, 3.0), workers=1).method for _ in range(3)]
    assert [method == "numba" for method in used] == [False, True, True]
    # Another loop has lost nothing.
    assert plan_of(partial(convcli.edge, image), workers=1).method != "numba"


def test_each_loop_is_asked_for_by_its_own_name_and_dtype(monkeypatch):
    asked = []
    monkeypatch.setattr(costs.machine_code, "is_loaded", lambda *what: asked.append(what))
    sobel = convcli.sobel_kernels()
    planned((900, 900), "uint8", gaussian_kernel(3), "numba")
    planned((900, 900), "float32", gaussian_kernel(12), "numba")
    planned((900, 900), "uint16", DENSE, "numba", form="dense")
    sparse = kernel_from(np.tril(DENSE.weights))
    planned((900, 900), "uint16", sparse, "numba", form="dense")
    planned((900, 900), "uint8", sobel, "numba", is_magnitude=True)
    wide = [gaussian_kernel(2)] * 2
    planned((900, 900), "float32", wide, "numba", is_magnitude=True)
    planned((900, 900), "uint8", wide, "numba", is_magnitude=True)
    assert {("magnitude_wide_of_any_size", "float32"), ("magnitude_wide", "uint8")} <= set(asked)
    assert {("separable", "uint8"), ("separable", "float32"), ("dense", "uint16"),
            ("correlate", "uint16"), ("magnitude", "uint8")} <= set(asked)  # fmt: skip


LOOKED_UP = {
    "blur": {},
    "light": {"linear": True},
    "float64 light": {"linear": True, "exact": True},
    "weighted": {"alpha": "weight"},
    "kept alpha": {"alpha": "keep"},
    "a constant that is no sample": {"border": "constant", "border_value": 0.5},
    "a sample": {"border": "constant", "border_value": 1},
}
WORK = {
    "blur": partial(convcli.blur, sigma=2),
    "wide blur": partial(convcli.blur, sigma=12),
    "edge": convcli.edge,
    "angle": partial(convcli.edge, show="angle"),
    "dense": partial(convcli.convolve, kernel=np.eye(3) + 1),
    "two kernels": partial(
        convolution.apply,
        filter_=convolution.Filter((gaussian_kernel(3),) * 2, combine=lambda _centre, a, b: a + b),
    ),
    "far apart": partial(convcli.convolve, kernel=gaussian_kernel(2).dilated(4)),
}


@pytest.mark.parametrize("options", LOOKED_UP.values(), ids=LOOKED_UP)
@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_the_loop_that_is_asked_for_is_the_one_that_runs(work, dtype, options, monkeypatch):
    """Otherwise each run would announce a compilation, and auto would import numba."""
    image = np.random.default_rng(0).random((300, 400, 4))
    image = (image * (255 if dtype.startswith("u") else 1)).astype(dtype)
    asked, ran = [], []
    monkeypatch.setattr(costs.machine_code, "is_loaded", lambda *what: asked.append(what) or True)
    for name in ENTRIES:

        def entry(samples, *_, name=name):
            ran.append((name, samples.dtype.name))

        monkeypatch.setattr(direct_numba, f"_{name}", entry)
    with np.errstate(all="ignore"):  # nothing is computed
        work(image, method="numba", workers=1, **options)
    assert asked
    assert set(asked) == {ran[0]}


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_narrow_pictures_and_wide_kernels_are_summed_exactly_enough(dtype):
    """One column of pixels makes the dense form cheap, with 641,601 products a sample."""
    rng = np.random.default_rng(1)
    column = rng.random((1073, 1)) if dtype == "float32" else rng.integers(0, 256, (1073, 1))
    image = column.astype(dtype)
    results = [
        convcli.blur(image, 100, radius=400, method=method).astype(float)
        for method in ("numpy", "numba", "fft")
    ]
    for other in results[1:]:
        if dtype == "uint8":
            assert (results[0] != other).mean() <= 0.01
        else:
            assert np.abs(results[0] - other).max() <= 1e-5


def test_more_workers_than_cores_are_not_believed_in():
    few = planned((3000, 4000, 3), "uint8", DENSE, "numpy", methods.worker_count(None))
    many = planned((3000, 4000, 3), "uint8", DENSE, "numpy", 1000)
    assert many.seconds >= few.seconds


@pytest.mark.parametrize("channels", [1, 3])
def test_very_long_rows_are_cut(channels):
    """A whole window as high as the kernel would take too much memory."""
    plan = convcli.plan((1, 50_000_000, channels), np.uint8, gaussian_kernel(2.0), "numba")
    assert plan.route.regions[1] * channels <= 2**20 + 16


def test_where_long_rows_are_cut_makes_no_difference(monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (40, 900, 3), dtype=np.uint8)
    whole = convcli.blur(image, 2.0, method="numba")
    monkeypatch.setattr(tiles, "_LONGEST_ROW", 300)
    np.testing.assert_array_equal(convcli.blur(image, 2.0, method="numba"), whole)
