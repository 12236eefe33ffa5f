"""The pixels of a slice that one may be drawn from, in a thirtieth of the memory of their coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class PackedPixels:
    """The pixels of a plane [H, W] where something is shown, numbered row by row.

    ends: int32 [H], how many there are up to and with each row. bits: uint8 [H, ceil(W / 8)], eight pixels a byte.
    """

    ends: npt.NDArray[np.int32]
    bits: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, shown: npt.NDArray[np.bool_]) -> PackedPixels:
        """Those of bool [H, W] that are true."""
        return cls(np.count_nonzero(shown, axis=1).cumsum(dtype=np.int32), np.packbits(shown, axis=1))

    def __len__(self) -> int:
        return int(self.ends[-1])

    def place(self, number: int) -> tuple[int, int]:
        """Row and column of pixel ``number`` (0 to len - 1): what np.nonzero has at that place."""
        row = int(np.searchsorted(self.ends, number, side="right"))
        before = int(self.ends[row - 1]) if row else 0
        return row, int(np.flatnonzero(np.unpackbits(self.bits[row]))[number - before])
