"""Whether the values of a column are unique, in bounded memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_MOST = 20_000_000
"""Values that are remembered; above, uniqueness is not guessed."""


class DistinctCounter:
    """Sees values and notes the first that comes again.

    Values are kept as 64-bit hashes, merged in sorted blocks; two values of one hash would be taken
    for a repetition, which at 20 million values happens once in 90,000 tables.
    """

    def __init__(self) -> None:
        self._blocks: list[npt.NDArray[np.uint64]] = []
        self._count = 0
        self.repeated = False

    def add(self, values: pa.Array) -> None:
        """See some values; a null counts as a repetition, for no key is null."""
        if self.repeated or not len(values):
            return
        self._count += len(values)
        if values.null_count or self._count > _MOST:
            self.repeated = True
            self._blocks.clear()
            return
        hashes = np.sort(_hashes(values))
        if (hashes[1:] == hashes[:-1]).any() or any(_meet(block, hashes) for block in self._blocks):
            self.repeated = True
            self._blocks.clear()
            return
        # Equal blocks are merged, so there are few, each about twice the next.
        while self._blocks and len(self._blocks[-1]) <= len(hashes):
            hashes = np.sort(np.concatenate([self._blocks.pop(), hashes]), kind="stable")
        self._blocks.append(hashes)


def _meet(block: npt.NDArray[np.uint64], hashes: npt.NDArray[np.uint64]) -> bool:
    at = np.searchsorted(block, hashes)
    at[at == len(block)] = 0
    return bool((block[at] == hashes).any())


def _hashes(values: pa.Array) -> npt.NDArray[np.uint64]:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_integer(values.type):
        return np.asarray(values.to_numpy().astype(np.int64).view(np.uint64))
    from hashlib import blake2b

    digests = b"".join(blake2b(str(v).encode(), digest_size=8).digest() for v in values.to_pylist())
    return np.frombuffer(digests, np.uint64)
