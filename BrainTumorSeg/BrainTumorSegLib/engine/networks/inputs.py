"""What every network is given: which sequences, in which order, how many channels and pixels."""

from __future__ import annotations

SEQUENCES = ("t1", "flair", "t1c")


CHANNELS = {
    "t1": (0, 0),
    "flair": (1, 0),
    "t1c": (2, 0),
    "flair_below": (1, -1),
    "flair_above": (1, 1),
}


SIZE_PX = 256
