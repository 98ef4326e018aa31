"""How this process gets memory from the system, and gives it back."""

import ctypes
import platform

# Of malloc.h.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
LARGE_BYTES = 1 << 20


def keep_memory_flat() -> None:
    """Have the C library return what is freed, for the rest of the process.

    The tensors of a training are of other sizes in every step. By itself, glibc keeps an arena of
    freed memory for each thread, and, once a large block was freed, takes blocks up to that size
    from there too: what lies free between the tensors grows for epochs. With one arena, and large
    blocks always from the system, it has all that it needs after the second epoch, and steps take
    as long. With another C library, nothing happens.
    """
    if platform.libc_ver()[0] == "glibc":
        process = ctypes.CDLL(None)
        process.mallopt(_M_ARENA_MAX, 1)
        process.mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
