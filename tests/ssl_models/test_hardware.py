"""What a process does with the memory that it frees; in processes of their own, as it stays set."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

ROUNDS = """
import ctypes, resource, sys
from ssl_models.hardware import keep_freed_memory

libc, size = ctypes.CDLL(None), 30 * 2**20
libc.malloc.restype = ctypes.c_void_p

def pages_of_a_round():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [ctypes.c_void_p(libc.malloc(size)) for _ in range(3)]
    for block in blocks:
        libc.memset(block, 1, size)
    for block in blocks:
        libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "keep":
    keep_freed_memory()
pages_of_a_round()
print(pages_of_a_round())
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc"
)
def test_freed_memory_is_used_again_without_new_pages() -> None:
    pages = {
        mode: int(subprocess.check_output([sys.executable, "-c", ROUNDS, mode]))
        for mode in ("keep", "return")
    }
    assert pages["keep"] < 100 < pages["return"]
