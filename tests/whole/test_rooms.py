"""What is loaded when, and which way the arrows between the rooms go."""

from __future__ import annotations

import ast
import subprocess
import sys
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
    """It is imported in the time that the decoder takes."""
    code = (
        "import sys; from convcli import image; from convcli.cli.run import run\n"
        "from pathlib import Path\n"
        "def decoding(size): raise SystemExit(print(*sys.modules))\n"
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


def test_kernels_need_neither_numba_nor_pillow():
    assert loaded_after("import convcli; convcli.gaussian_kernel(2.0)") <= {"numpy"}


def test_every_public_name_is_there():
    for name in convcli.__all__:
        assert getattr(convcli, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'blurr'"):
        _ = convcli.blurr


def imports_of(path):
    """Top-level packages that a module imports anywhere, apart from type checking."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            inner = ".".join(parts[:2]) if parts[0] == "convcli" else parts[0]
            names |= {inner}
            if node.module == "convcli":
                names |= {f"convcli.{alias.name}" for alias in node.names}
    return names


OWNERS = {
    "typer": {"cli"},
    "rich": {"cli"},
    "PIL": {"image"},
    "imagecodecs": {"image"},
    "tifffile": {"image"},
    "pathos": {"processes.py"},
    "numba": {"inner_loops.py", "machine_code.py"},
    "llvmlite": {"machine_code.py"},
    "scipy": {"loops", "racing"},
    "cv2": {"racing"},
    "skimage": {"comparison.py", "racing"},
    "matplotlib": {"kernel_drawing.py", "plotting.py", "racing"},
}


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_known_in_one_room(library):
    users = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if library in imports_of(path)
    }
    assert users == OWNERS[library]


# Each room may import those before it in this list, never those after.
ORDER = [
    "errors", "words", "plotting", "formats", "types", "padded", "layout", "rounding", "checks",
    "decimation", "kernel", "kernels", "memory", "writing", "kernel_files", "inner_loops", "elf",
    "machine_code", "borders", "folding", "colour", "kernel_drawing", "recipe", "loops", "costs",
    "methods", "tiles", "planning", "execute", "processes", "convolution",
    "filters", "png", "image", "comparison", "places", "walking", "clashes", "jobs", "attempt",
    "batch", "ahead", "racing", "cli",
]  # fmt: skip
# Imported inside a function, when that executor is chosen, or when a kernel is saved.
BACK = {("planning", "loops"), ("execute", "processes")}


def test_the_arrows_go_one_way():
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        for name in imports_of(path):
            other = name.removeprefix("convcli.")
            if name == other or other == room or other not in ORDER or (room, other) in BACK:
                continue
            assert ORDER.index(other) < ORDER.index(room), f"{room} imports {other}"


def test_every_file_says_its_subject_first():
    for path in PACKAGE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path


SMALL_FFT = (
    "import convcli, numpy\n"
    "image = numpy.random.default_rng(0).integers(0, 256, (300, 400), dtype='uint8')\n"
    "kernel = numpy.random.default_rng(1).random((20, 20)) / 200\n"
    "result = convcli.convolve(image, kernel, method='fft', pictures={})"
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
    """And the plan says so."""
    show = (
        "\nimport hashlib; print(hashlib.sha256(result).hexdigest(),"
        "convcli.planning.choice.plan_for(image.shape, 'uint8',"
        "convcli.kernels.kernel.kernel_from(kernel), 'fft', pictures=10_000).accumulator)"
    )
    without, alone = (
        subprocess.run(
            [sys.executable, "-c", each + show], capture_output=True, text=True, check=True
        ).stdout.split()
        for each in (
            f"import sys\n{WITHOUT_SCIPY[way]}\n" + SMALL_FFT.format(10_000),
            SMALL_FFT.format(1),
        )
    )
    assert without == [alone[0], "float64"]
    assert alone[1] == "float32"
