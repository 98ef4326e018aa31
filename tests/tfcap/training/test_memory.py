"""What the C library does with memory that training frees."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys
from tfcap.training.memory import keep_memory_flat

if sys.argv[1] == "flat":
    keep_memory_flat()
process = ctypes.CDLL(None)
process.malloc.restype, process.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
process.free(process.malloc(20 << 20))  # from here on, glibc would keep blocks as large as this

class Use(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

process.mallinfo2.restype = Use
before = process.mallinfo2().hblks
process.malloc(2 << 20)
print(process.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
@pytest.mark.parametrize(("how", "blocks"), [("plain", "0"), ("flat", "1")])
def test_large_blocks_are_always_the_systems(how, blocks):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [blocks]
