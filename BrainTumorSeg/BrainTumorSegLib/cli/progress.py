"""Progress bars on stderr: on a terminal only, silent in a pipe or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

STAGES = {
    "read": "Reading",
    "register": "Registering",
    "load": "Loading the model",
    "preprocess": "Preparing",
    "classify": "Classifying slices",
    "segment": "Segmenting",
    "postprocess": "Measuring",
    "write": "Writing",
}


@contextmanager
def stage_bar() -> Iterator[Callable[[str, float], None]]:
    """Yields on_progress(stage, fraction of the whole run 0-1)."""
    from tqdm import tqdm

    # disable=None: off where stderr is no terminal.
    with tqdm(total=100, disable=None, leave=False, bar_format="{desc:<20}{bar}{percentage:4.0f} %") as bar:

        def show(stage: str, fraction: float) -> None:
            bar.update(100 * fraction - bar.n)
            bar.set_description_str(STAGES.get(stage, stage))

        yield show


@contextmanager
def byte_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Yields on_progress(bytes done, bytes in all)."""
    from tqdm import tqdm

    with tqdm(desc=title, disable=None, leave=False, unit="B", unit_scale=True) as bar:

        def show(done_bytes: int, total_bytes: int) -> None:
            bar.total = total_bytes
            bar.update(done_bytes - bar.n)

        yield show
