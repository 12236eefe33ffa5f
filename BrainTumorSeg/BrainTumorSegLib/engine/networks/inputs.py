"""What every network is given: which sequences, in which order, how many channels and pixels."""

from __future__ import annotations

SEQUENCES = ("t1", "flair", "t1c")
"""Order of the sequences everywhere in the engine: pre-contrast, FLAIR, post-contrast, as in the training data."""
CHANNELS = {
    "t1": (0, 0),
    "flair": (1, 0),
    "t1c": (2, 0),
    "flair_below": (1, -1),
    "flair_above": (1, 1),
}
"""Network input channel -> (sequence, how many neighbour distances up)."""
SIZE_PX = 256
"""Rows and columns of the slices that networks see."""
