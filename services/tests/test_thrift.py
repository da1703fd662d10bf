"""Memory that was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.support.platform import ROOT

_FREED = """
import asyncio, ctypes
from cerro_services import thrift
from tests.support.waiting import eventually
if thrift._trim() is None:
    raise SystemExit("no malloc_trim")
c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
c.free.argtypes = [ctypes.c_void_p]

async def main():
    before = thrift.held()
    giving = asyncio.create_task(thrift.thrifty(0.01))
    await asyncio.sleep(0)
    # The last piece stays, so that what lies before it is not given back by itself.
    pieces = [c.malloc(60_000) for _ in range(2_000)]
    for piece in pieces:
        ctypes.memset(piece, 1, 60_000)
    taken = thrift.held() - before
    for piece in pieces[:-1]:
        c.free(piece)
    await asyncio.to_thread(eventually, lambda: thrift.held() - before <= taken // 4)
    giving.cancel()
    print(taken > 100_000_000)

asyncio.run(main())
"""


@pytest.mark.req("FLT-9")
def test_memory_that_was_freed_goes_back_to_the_system() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FREED], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "no malloc_trim" in done.stderr:
        pytest.skip("this C library has no malloc_trim")
    assert done.stderr == ""
    assert done.stdout == "True\n"
