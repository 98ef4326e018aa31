"""What becomes of the memory of a model that is closed."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, mmap, sys
from pathlib import Path
from serving.server.model import Model

def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

model = Model(Path(sys.argv[1]))
process = ctypes.CDLL(None)
process.malloc.restype, process.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
# 256 MB in small blocks that are used and freed, below one that stays: what a session leaves.
blocks = [process.malloc(64 << 10) for _ in range(4096)]
for block in blocks:
    ctypes.memset(block, 1, 64 << 10)
process.malloc(64 << 10)
for block in blocks:
    process.free(block)
before = resident()
model.close()
print((before - resident()) >> 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
def test_a_closed_model_leaves_no_freed_memory_behind(tiny_model):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tiny_model / "1")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) > 200
