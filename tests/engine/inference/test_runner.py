"""A network that gets too little memory is tried with less, as long as there is less, and only what helped is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from BrainTumorSegLib.engine.errors import Cancelled, MemoryExhaustedError
from BrainTumorSegLib.engine.inference.device import Compute
from BrainTumorSegLib.engine.inference.runner import NetworkRunner

CPU = Compute(torch.device("cpu"), torch.float32, "CPU")
WANT_OF_MEMORY = "[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."


class Hungry(nn.Module):
    """Doubles its input; gets no memory for more than ``limit`` of a batch. tried: the batches that it was given."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self.tried: list[int] = []

    def __deepcopy__(self, memo: dict[int, object]) -> Hungry:
        return self  # the runner makes a copy, and the test looks at what this one was given

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tried.append(len(x))
        if len(x) > self.limit:
            raise RuntimeError(WANT_OF_MEMORY)
        return 2 * x


def slices(positions: np.ndarray) -> np.ndarray:
    return positions[:, None, None, None].astype(np.float32) * np.ones((1, 1, 4, 4), np.float32)


def run(runner: NetworkRunner, count: int) -> np.ndarray:
    return runner.run(slices, np.arange(count), lambda _: None, lambda: False)


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_every_slice_gets_its_own_answer(count: int) -> None:
    found = run(NetworkRunner(Hungry(99), CPU), count)
    np.testing.assert_array_equal(found[:, 0, 0, 0], 2 * np.arange(count))


def test_no_slice_gives_an_empty_answer() -> None:
    assert len(run(NetworkRunner(Hungry(99), CPU), 0)) == 0


@pytest.mark.parametrize(("size_px", "batch"), [(256, 4), (128, 16), (512, 1), (1024, 1)])
def test_of_smaller_slices_more_are_computed_at_once(size_px: int, batch: int) -> None:
    network = Hungry(99)
    run(NetworkRunner(network, CPU, size_px=size_px), 36)
    assert network.tried[0] == batch


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no other way")
def test_one_thread_computes_1_x_1_convolutions_as_two_do() -> None:
    network = nn.Conv2d(1, 8, 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.autograd.profiler.profile() as profile:
            found = run(NetworkRunner(network, CPU), 4)
    finally:
        torch.set_num_threads(threads)
    expected = network(torch.from_numpy(slices(np.arange(4)))).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert "aten::mkldnn_convolution" in {event.name for event in profile.function_events}


def test_want_of_memory_halves_what_was_really_tried() -> None:
    network = Hungry(1)
    runner = NetworkRunner(network, CPU)
    found = run(runner, 3)
    np.testing.assert_array_equal(found[:, 0, 0, 0], [0, 2, 4])
    assert network.tried == [3, 1, 1, 1]
    assert runner.notes == ["Memory ran out; slices are computed 1 at a time."]


def test_only_the_step_that_helped_is_told_and_once() -> None:
    network = Hungry(1)
    runner = NetworkRunner(network, CPU)
    run(runner, 8)
    assert network.tried[:3] == [4, 2, 1]
    assert runner.notes == ["Memory ran out; slices are computed 1 at a time."]
    run(runner, 8)
    assert len(runner.notes) == 1


def test_a_study_that_can_not_be_halved_is_tried_once_and_nothing_untrue_is_told() -> None:
    network = Hungry(0)
    runner = NetworkRunner(network, CPU, "the whole study at once")
    study = np.zeros((1, 4, 30, 64, 64), np.float32)
    with pytest.raises(
        MemoryExhaustedError, match=r"compute the whole study at once on the CPU\. Close other programs"
    ):
        runner.run(lambda _: study, np.zeros(1, np.intp), lambda _: None, lambda: False)
    assert network.tried == [1]
    assert runner.notes == []


def test_views_of_a_study_are_tried_one_by_one_and_called_what_they_are() -> None:
    network = Hungry(1)
    runner = NetworkRunner(network, CPU, "a whole study", "whole studies")
    views = np.arange(2 * 4 * 3 * 8 * 8, dtype=np.float32).reshape(2, 4, 3, 8, 8)
    found = runner.run(lambda some: views[some], np.arange(2), lambda _: None, lambda: False)
    np.testing.assert_array_equal(found, 2 * views)
    assert network.tried == [2, 1, 1]
    assert runner.notes == ["Memory ran out; whole studies are computed 1 at a time."]


def test_an_error_that_is_no_want_of_memory_is_passed_on() -> None:
    runner = NetworkRunner(nn.Conv2d(3, 1, 1), CPU)  # the slices have one channel
    with pytest.raises(RuntimeError, match="expected input"):
        run(runner, 1)


def test_cancel_is_asked_between_batches() -> None:
    network = Hungry(99)
    done: list[float] = []
    with pytest.raises(Cancelled):
        NetworkRunner(network, CPU).run(slices, np.arange(8), done.append, lambda: bool(done))
    assert done == [0.5]
    assert network.tried == [4]
