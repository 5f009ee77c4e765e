"""Which packages are loaded when, and the order of the rooms."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import convcli

PACKAGE = Path(convcli.__file__).parent
HEAVY = (
    "numpy",
    "numba",
    "PIL",
    "pathos",
    "multiprocess",
    "rich",
    "scipy",
    "matplotlib",
    "skimage",
)


def loaded_after(code):
    """Which heavy packages a fresh interpreter has loaded after some code."""
    show = f"; import sys; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code + show], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_convcli_loads_nothing_heavy():
    assert loaded_after("import convcli") == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["blur", "--help"],
        ["compare", "--help"],
        ["kernel", "--help"],
        ["bank", "--help"],
        ["chain", "--help"],
        ["bench", "--help"],
    ],
)
def test_help_loads_nothing_heavy(arguments):
    code = (
        f"import sys; sys.argv = ['convcli', *{arguments!r}]\n"
        "from convcli.cli.program import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "pass"
    )
    assert loaded_after(code) == set()


def test_decoding_begins_without_numpy(picture_file):
    """It is imported while the decoder works."""
    code = (
        "import sys; from convcli import image; from convcli.cli.run import run\n"
        "from pathlib import Path\n"
        "def decoding(size, header): raise SystemExit(print(*sys.modules))\n"
        f"image.read(Path({str(picture_file('a.jpg'))!r}), on_decode=decoding)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "PIL.JpegImagePlugin" in loaded
    # Nor any other decoder.
    assert not loaded & {
        "numpy",
        "convcli.planning",
        "PIL.PngImagePlugin",
        "PIL.TiffImagePlugin",
    }


@pytest.mark.parametrize(("suffix", "plugin"), [("jpg", "Jpeg"), ("png", "Png"), ("webp", "WebP")])
def test_only_the_decoder_of_a_files_suffix_is_imported(picture_file, suffix, plugin):
    path = picture_file(f"a.{suffix}")
    code = f"from convcli import image; from pathlib import Path; image.read(Path({str(path)!r}))"
    show = "; import sys; print(*[m for m in sys.modules if m.endswith('ImagePlugin')])"
    done = subprocess.run(
        [sys.executable, "-c", code + show], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == {"PIL.JpegImagePlugin", f"PIL.{plugin}ImagePlugin"}


# Rooms, modules and packages that one filter over a photo does not use. Each module takes 0.2 ms of
# every start or more, hashlib 2.7.
UNUSED = (
    "convcli.banks",
    "convcli.cluster",
    "convcli.dask",
    "convcli.racing",
    "convcli.sources",
    "convcli.batch.windowed",
    "convcli.batch.frames",
    "convcli.batch.planes",
    "convcli.filtering.banking",
    "convcli.filtering.canny",
    "convcli.filtering.chains",
    "convcli.filtering.luma",
    "convcli.filtering.part",
    "convcli.kernels.gabor",
    "convcli.kernels.named",
    "convcli.loops.compiled.elf",
    "convcli.pixels.mask",
    "convcli.planning.chains",
    "convcli.running.chains",
    "convcli.running.normalised",
    "convcli.running.processes",
    "convcli.running.stages",
    *(f"convcli.image.{name}" for name in ("animation", "exr", "npy", "pnm", "tiff", "y4m")),
    *(
        "dask",
        "hashlib",
        "importlib.metadata",
        "isal",
        "numba",
        "pathos",
        "rich",
        "scipy",
        "PIL.ImageOps",
        *(f"PIL.{name}ImagePlugin" for name in ("Bmp", "Gif", "Png", "Ppm")),
    ),
)


def test_one_filter_imports_only_what_it_uses(picture_file):
    path = picture_file("a.jpg")
    code = (
        "import sys; from convcli.cli.program import main\n"
        f"sys.argv = ['convcli', 'blur', {str(path)!r}, '-m', 'numpy', '-q']\n"
        "try: main()\n"
        "finally: print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "convcli.running.execute" in loaded
    used = {name for name in loaded if f"{name}.".startswith(tuple(f"{u}." for u in UNUSED))}
    assert used == set()


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_needs_no_typer(option):
    code = (
        "import sys; from convcli.cli.program import main\n"
        f"sys.argv = ['convcli', {option!r}]\n"
        "try: main()\n"
        "finally: print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"convcli {convcli.__version__}\n")
    assert not {"typer", "numpy", "PIL"} & set(done.stdout.split())


def test_kernels_need_neither_numba_nor_pillow():
    assert loaded_after("import convcli; convcli.gaussian_kernel(2.0)") <= {"numpy"}


def test_every_public_name_is_there():
    assert dir(convcli) == sorted(convcli.__all__)
    for name in convcli.__all__:
        assert getattr(convcli, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'blurr'"):
        _ = convcli.blurr


def modules():
    """Every module of the package by its name, a room's `__init__` by the room's."""
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__"), path


MODULES = dict(modules())


@cache
def imports_of(path):
    """Full names of the modules that a file imports anywhere, for type checking too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where its arrow goes"
            for alias in node.names:  # a module of a room, or a name in a module
                inner = f"{node.module}.{alias.name}"
                names.add(inner if inner in MODULES else node.module)
    return names


OWNERS = {
    "typer": {"cli"},
    "rich": {"cli"},
    "PIL": {"image", "sources"},
    "imagecodecs": {"image", "sources"},
    "tifffile": {"image", "sources"},
    "isal": {"image"},
    "pathos": {"running"},
    "numba": {"loops"},
    "llvmlite": {"loops"},
    "scipy": {"loops", "racing"},
    "cv2": {"racing"},
    "skimage": {"image", "racing"},
    "safetensors": {"banks"},
    "zarr": {"sources"},
    "torch": {"racing"},
    "matplotlib": {"kernels", "plotting", "racing"},
    "dask": {"cluster", "dask"},
    "distributed": {"cluster"},
}


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_known_in_one_room(library):
    users = {
        name.split(".")[1]
        for name, path in MODULES.items()
        if library in {each.split(".")[0] for each in imports_of(path)}
    }
    assert users == OWNERS[library]


GROUND = (
    "words", "errors", "types", "checks", "memory", "once", "ownership", "plotting", "pools",
)  # fmt: skip

ROOMS = (
    "cli", "racing", "cluster", "batch", "dask", "filtering", "banks", "running", "planning",
    "kernels", "loops", "sources", "image", "pixels", "files",
)  # fmt: skip
"""From the top down: a room imports only rooms below it."""


def room_of(module):
    """The room of a module; the ground modules and `convcli` itself are in no room."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_every_module_has_its_place():
    assert {room_of(name) for name in MODULES} == {"", "__main__", *ROOMS, *GROUND}


@pytest.mark.parametrize(
    "name", [name for name in MODULES if room_of(name) not in ("", "__main__")]
)
def test_the_arrows_go_down(name):
    """What is imported for type checking, or inside a function, counts as well."""
    order = (*ROOMS, *reversed(GROUND))
    for other in imports_of(MODULES[name]) & MODULES.keys() - {"convcli"}:
        assert order.index(room_of(name)) <= order.index(room_of(other)), f"{name} imports {other}"


def test_no_modules_import_each_other_in_a_circle():
    arrows = {
        name: imports_of(path) & MODULES.keys() - {"convcli", name}
        for name, path in MODULES.items()
    }
    while ends := [name for name, others in arrows.items() if not others]:
        for end in ends:
            del arrows[end]
        for others in arrows.values():
            others.difference_update(ends)
    assert not arrows


def test_every_file_says_its_subject_first():
    for path in PACKAGE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path


SMALL_FFT = (
    "import convcli, numpy\n"
    "image = numpy.random.default_rng(0).integers(0, 256, (300, 400), dtype='uint8')\n"
    "kernel = numpy.random.default_rng(1).random((20, 20)) / 200\n"
    "plans = []\n"
    "result = convcli.convolve(\n"
    "    image, kernel, method='fft', pictures={}, on_plan=plans.append)"
)


def test_a_small_fft_does_not_load_scipy():
    assert "scipy" not in loaded_after(SMALL_FFT.format(1))
    assert "scipy" in loaded_after(SMALL_FFT.format(10_000))


WITHOUT_SCIPY = {
    "not installed": "sys.modules['scipy'] = None",
    "without its transforms": "sys.modules['scipy.fft'] = None",
    "broken": (
        "from importlib.abc import MetaPathFinder, Loader\n"
        "from importlib.machinery import ModuleSpec\n"
        "class Broken(MetaPathFinder, Loader):\n"
        "    def find_spec(self, name, *_):\n"
        "        return ModuleSpec(name, self) if name.startswith('scipy') else None\n"
        "    def exec_module(self, module): raise ValueError('made for another numpy')\n"
        "sys.meta_path.insert(0, Broken())"
    ),
}


@pytest.mark.parametrize("way", WITHOUT_SCIPY)
def test_an_fft_needs_no_scipy(way):
    """And the plan names the sums that are computed."""
    show = "\nimport hashlib; print(hashlib.sha256(result).hexdigest(), plans[0].route.accumulator)"
    without, alone = (
        subprocess.run(
            [sys.executable, "-c", each + show], capture_output=True, text=True, check=True
        ).stdout.split()
        for each in (
            f"import sys\n{WITHOUT_SCIPY[way]}\n" + SMALL_FFT.format(10_000),
            SMALL_FFT.format(1),
        )
    )
    assert without == alone == [alone[0], "float64"]  # too small for scipy to pay
