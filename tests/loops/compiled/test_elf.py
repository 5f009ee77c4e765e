"""Objects are laid out to run where they are mapped, or refused."""

from __future__ import annotations

import platform
import struct
import sys

import numpy as np
import pytest

from convcli.loops.compiled import calling, compiling, elf, inner_loops, mapping

SIGNATURE = (("uint8", 1), ("int64", 0), ("int64", 1), ("float32", 1), ("float32", 0),
             ("float32", 1), ("uint8", 2))  # fmt: skip

linux_x86_64 = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="objects for x86-64 Linux"
)
pytestmark = linux_x86_64


@pytest.fixture(scope="module")
def code():
    return compiling.object_code("correlate", SIGNATURE)


def arguments():
    window = np.random.default_rng(0).integers(0, 256, (9, 700), dtype=np.uint8)
    offsets, weights = np.array([0, 1, 702, 1400]), np.array([0.5, -1, 2, 0.1], np.float32)
    scratch, out = np.empty(64, np.float32), np.empty((7, 690), np.uint8)
    return [window.reshape(-1), 700, offsets, weights, np.float32(1.5), scratch, out]


def test_the_image_computes_what_numba_does(code, tmp_path):
    path = tmp_path / "kept"
    mapping.keep(path, code)
    call = calling.caller(mapping.load(path), SIGNATURE)
    ours, numbas = arguments(), arguments()
    call(*ours)
    inner_loops.correlate(*numbas)
    np.testing.assert_array_equal(ours[-1], numbas[-1])


def test_the_entry_lies_in_the_image(code):
    image, offset = elf.laid_out(code, calling.ENTRY)
    assert 0 <= offset < len(image)


def test_a_missing_entry_is_refused(code):
    with pytest.raises(NotImplementedError, match="no other_name"):
        elf.laid_out(code, "other_name")


@pytest.mark.parametrize(
    "damage", [(0, b"MZ"), (4, b"\1"), (16, struct.pack("<H", 3)), (18, struct.pack("<H", 183))]
)
def test_other_objects_are_refused(code, damage):
    at, content = damage
    other = code[:at] + content + code[at + len(content) :]
    with pytest.raises(NotImplementedError, match="not a relocatable object"):
        elf.laid_out(other, calling.ENTRY)


def compiled(source):
    import llvmlite.binding as llvm

    return compiling.target_machine().emit_object(llvm.parse_assembly(source))


def test_what_calls_elsewhere_is_refused():
    code = compiled(
        "declare i32 @elsewhere()\ndefine i32 @f() { %x = call i32 @elsewhere() ret i32 %x }"
    )
    with pytest.raises(NotImplementedError, match="of elsewhere"):
        elf.laid_out(code, "f")


def test_constants_and_calls_within_are_linked():
    """A table in .rodata, and a function that another one calls."""
    import ctypes
    import mmap

    code = compiled(
        "@table = internal constant [4 x i64] [i64 10, i64 20, i64 30, i64 40]\n"
        "define internal i64 @g(i64 %n) noinline {\n"
        " %p = getelementptr [4 x i64], [4 x i64]* @table, i64 0, i64 %n\n"
        " %x = load i64, i64* %p\n ret i64 %x }\n"
        "define i64 @f(i64 %n) { %x = call i64 @g(i64 %n)\n %y = add i64 %x, 1\n ret i64 %y }"
    )
    image, offset = elf.laid_out(code, "f")
    memory = mmap.mmap(-1, len(image), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(image)
    address = np.frombuffer(memory, np.uint8).__array_interface__["data"][0]
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address + offset)
    assert [function(n) for n in range(4)] == [11, 21, 31, 41]


def test_variables_and_absolute_addresses_are_refused():
    code = compiled("@n = internal global i64 1\ndefine i64* @f() { ret i64* @n }")
    with pytest.raises(NotImplementedError, match="has variables"):
        elf.laid_out(code, "f")
