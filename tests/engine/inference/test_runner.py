"""A network that gets too little memory is tried with less, as long as there is less, and only what helped is told."""

from __future__ import annotations

import random
import re
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from BrainTumorSegLib.engine.errors import Cancelled, MemoryExhaustedError
from BrainTumorSegLib.engine.inference.device import Compute
from BrainTumorSegLib.engine.inference.mirroring import answer_with_mirror_image
from BrainTumorSegLib.engine.inference.runner import NetworkRunner, Task
from BrainTumorSegLib.engine.inference.transfers import Transfers, Wait

CPU = Compute(torch.device("cpu"), torch.float32, "CPU")
GPU = Compute(torch.device("cuda", 0), torch.float32, "a GPU that is pretended")
SLICES = Task("segment a slice", "Memory ran out; slices are segmented {batch} at a time.")
STUDIES = Task("correct a study", "Memory ran out; studies are corrected one by one.", size_px=None)
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
    found = run(NetworkRunner(Hungry(99), CPU, SLICES), count)
    np.testing.assert_array_equal(found[:, 0, 0, 0], 2 * np.arange(count))


def test_no_slice_gives_an_empty_answer() -> None:
    assert len(run(NetworkRunner(Hungry(99), CPU, SLICES), 0)) == 0


@pytest.mark.parametrize(("size_px", "batch"), [(256, 4), (128, 16), (512, 1), (1024, 1)])
def test_of_smaller_slices_more_are_computed_at_once(size_px: int, batch: int) -> None:
    network = Hungry(99)
    run(NetworkRunner(network, CPU, replace(SLICES, size_px=size_px)), 36)
    assert network.tried[0] == batch


def test_of_numbers_of_half_the_size_twice_as_many_are_computed_at_once() -> None:
    network = Hungry(99)
    run(NetworkRunner(network, Compute(torch.device("cpu"), torch.bfloat16, "CPU"), SLICES), 36)
    assert network.tried[0] == 8


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no other way")
def test_one_thread_computes_1_x_1_convolutions_as_two_do() -> None:
    network = nn.Conv2d(1, 8, 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.autograd.profiler.profile() as profile:
            found = run(NetworkRunner(network, CPU, SLICES), 4)
    finally:
        torch.set_num_threads(threads)
    expected = network(torch.from_numpy(slices(np.arange(4)))).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert "aten::mkldnn_convolution" in {event.name for event in profile.function_events}


def test_want_of_memory_halves_what_was_really_tried() -> None:
    network = Hungry(1)
    runner = NetworkRunner(network, CPU, SLICES)
    found = run(runner, 3)
    np.testing.assert_array_equal(found[:, 0, 0, 0], [0, 2, 4])
    assert network.tried == [3, 1, 1, 1]
    assert runner.notes == ("Memory ran out; slices are segmented 1 at a time.",)


def test_only_the_step_that_helped_is_told_and_once() -> None:
    network = Hungry(1)
    runner = NetworkRunner(network, CPU, SLICES)
    run(runner, 8)
    assert network.tried[:3] == [4, 2, 1]
    assert runner.notes == ("Memory ran out; slices are segmented 1 at a time.",)
    run(runner, 8)
    assert len(runner.notes) == 1


def test_a_study_that_can_not_be_halved_is_tried_once_and_nothing_untrue_is_told() -> None:
    network = Hungry(0)
    runner = NetworkRunner(network, CPU, STUDIES)
    study = np.zeros((1, 4, 30, 64, 64), np.float32)
    with pytest.raises(
        MemoryExhaustedError, match=r"not enough memory to correct a study on the CPU\. Close other programs"
    ):
        runner.run(lambda _: study, np.zeros(1, np.intp), lambda _: None, lambda: False)
    assert network.tried == [1]
    assert runner.notes == ()


def test_views_of_a_study_are_tried_one_by_one_and_called_what_they_are() -> None:
    network = Hungry(1)
    runner = NetworkRunner(network, CPU, STUDIES)
    views = np.arange(2 * 4 * 3 * 8 * 8, dtype=np.float32).reshape(2, 4, 3, 8, 8)
    found = runner.run(lambda some: views[some], np.arange(2), lambda _: None, lambda: False)
    np.testing.assert_array_equal(found, 2 * views)
    assert network.tried == [2, 1, 1]
    assert runner.notes == ("Memory ran out; studies are corrected one by one.",)


def test_an_error_that_is_no_want_of_memory_is_passed_on() -> None:
    runner = NetworkRunner(nn.Conv2d(3, 1, 1), CPU, SLICES)  # the slices have one channel
    with pytest.raises(RuntimeError, match="expected input"):
        run(runner, 1)


def test_cancel_is_asked_between_batches() -> None:
    network = Hungry(99)
    done: list[float] = []
    with pytest.raises(Cancelled):
        NetworkRunner(network, CPU, SLICES).run(slices, np.arange(8), done.append, lambda: bool(done))
    assert done == [0.5]
    assert network.tried == [4]


class PretendedGpu(Transfers):
    """Computes on the processor, and gives what it computed when it is waited for, or else what went wrong.

    fails: whether memory runs out over a batch of so many, found out only when it is waited for. delivered: how often
    each slice was handed over. most_started: of batches at once. is_left: whether its memory was given back.
    """

    ahead = 1

    def __init__(self, fitting: int, fails: Callable[[int], bool]) -> None:
        super().__init__(torch.device("cuda", 0))
        self.fitting, self.fails = fitting, fails
        self.delivered: Counter[int] = Counter()
        self.started = self.most_started = 0
        self.is_left = False

    def send(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array)

    def fetch(self, answer: torch.Tensor) -> Wait:
        self.started += 1
        self.most_started = max(self.most_started, self.started)

        def wait() -> np.ndarray:
            self.started -= 1
            if self.fails(len(answer)):
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
            found = answer.numpy()
            self.delivered.update((found[:, 0, 0, 0] / 2).astype(int).tolist())
            return found

        return wait

    def fitting_batch(self, compute_one: Callable[[], object], limit: int) -> int:
        compute_one()
        return min(self.fitting, limit)

    def leave(self) -> None:
        self.is_left = True


class Moody(nn.Module):
    """Doubles its input, and gets no memory whenever ``fails`` says so of a batch of so many."""

    def __init__(self, fails: Callable[[int], bool]) -> None:
        super().__init__()
        self.fails = fails
        self.tried: list[int] = []

    def __deepcopy__(self, memo: dict[int, object]) -> Moody:
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tried.append(len(x))
        if self.fails(len(x)):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return 2 * x


def never(size: int) -> bool:
    return False


def over(limit: int) -> Callable[[int], bool]:
    return lambda size: size > limit


def on_pretended_gpu(network: nn.Module, gpu: PretendedGpu, task: Task = SLICES) -> NetworkRunner:
    return NetworkRunner(network, GPU, task, lambda device: gpu if device.type == "cuda" else Transfers(device))


@pytest.mark.parametrize("fitting", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 16, 17, 33, 50])
def test_a_gpu_computes_one_batch_while_the_next_is_made_and_all_arrive_once(count: int, fitting: int) -> None:
    gpu, network = PretendedGpu(fitting, never), Moody(never)
    fractions: list[float] = []
    positions = 3 * np.arange(count)
    found = on_pretended_gpu(network, gpu).run(slices, positions, fractions.append, lambda: False)
    np.testing.assert_array_equal(found, 2 * slices(positions) if count else found)
    assert gpu.delivered == Counter(positions.tolist())
    assert gpu.most_started == min(2, -(-count // fitting))
    assert network.tried == ([1] if count else []) + [
        len(part) for part in np.split(positions, range(fitting, count, fitting)) if count
    ]
    assert fractions == sorted(fractions)
    assert len(found) == count


def test_the_batch_is_chosen_once_and_kept() -> None:
    gpu, network = PretendedGpu(8, never), Moody(never)
    runner = on_pretended_gpu(network, gpu)
    run(runner, 16)
    gpu.fitting = 2
    run(runner, 16)
    assert network.tried == [1, 8, 8, 8, 8]
    assert runner.notes == ()


def test_studies_differ_in_size_so_that_none_is_measured() -> None:
    gpu, network = PretendedGpu(1, never), Moody(never)
    run(on_pretended_gpu(network, gpu, STUDIES), 2)
    assert network.tried == [2]


@pytest.mark.parametrize("seed", range(40))
def test_wherever_memory_runs_out_every_slice_is_computed_and_arrives_once(seed: int) -> None:
    """At random batches, when they are started or waited for; only a single slice on the CPU always fits."""
    chance = random.Random(seed)
    share_started, share_waited = chance.random() ** 2, chance.random() ** 2
    network = Moody(lambda size: (runner.device.type != "cpu" or size > 1) and chance.random() < share_started)
    gpu = PretendedGpu(chance.choice([1, 4, 16]), lambda size: chance.random() < share_waited)
    runner = on_pretended_gpu(network, gpu)
    count = chance.randrange(1, 60)
    fractions: list[float] = []
    found = runner.run(slices, np.arange(count), fractions.append, lambda: False)
    np.testing.assert_array_equal(found, 2 * slices(np.arange(count)))
    assert max(gpu.delivered.values(), default=1) == 1
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    # One to measure; on each device every failure halves; and two batches at most are tried in vain at each size.
    assert len(network.tried) <= 1 + count + 2 * (5 + 3)
    assert gpu.is_left == (runner.device.type == "cpu")


def told_batch(runner: NetworkRunner) -> int | None:
    said = re.search(r"segmented (\d+) at a time", " ".join(runner.notes))
    return int(said[1]) if said else None


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 5, 8, 16])
@pytest.mark.parametrize("surfaces", ["started", "waited for"])
def test_what_is_told_is_what_happened_on_a_gpu(limit: int, surfaces: str) -> None:
    network = Moody(over(limit) if surfaces == "started" else never)
    gpu = PretendedGpu(16, over(limit) if surfaces == "waited for" else never)
    network_on_cpu = partial(setattr, network, "fails", never)
    gpu.leave = network_on_cpu  # type: ignore[method-assign] # what the GPU lacks, the processor has
    runner = on_pretended_gpu(network, gpu)
    np.testing.assert_array_equal(run(runner, 40), 2 * slices(np.arange(40)))
    largest = network.tried[-2]
    if limit == 0:
        assert runner.notes == ("The memory of cuda:0 did not suffice to segment a slice; the CPU was used instead.",)
        assert runner.device == torch.device("cpu")
    elif limit == 16:
        assert runner.notes == ()
    else:
        assert told_batch(runner) == largest <= limit
        assert len(runner.notes) == 1
        assert runner.device == GPU.device
    before = runner.notes
    run(runner, 40)
    assert runner.notes == before


def test_a_gpu_that_lacks_the_memory_for_one_slice_is_asked_for_one_only() -> None:
    """Not for 16, 8, 4 and 2 too."""
    network = Moody(lambda size: runner.device.type != "cpu")
    gpu = PretendedGpu(16, never)
    runner = on_pretended_gpu(network, gpu)
    run(runner, 4)
    assert network.tried == [1, 4]


def test_both_the_move_and_the_smaller_batch_after_it_are_told() -> None:
    network = Moody(lambda size: runner.device.type != "cpu" or size > 2)
    runner = on_pretended_gpu(network, PretendedGpu(16, never))
    run(runner, 4)
    assert runner.notes == (
        "The memory of cuda:0 did not suffice to segment a slice; the CPU was used instead.",
        "Memory ran out; slices are segmented 2 at a time.",
    )


def test_what_was_told_of_a_batch_gives_way_to_what_is_true_now() -> None:
    network = Hungry(2)
    runner = NetworkRunner(network, CPU, SLICES)
    run(runner, 4)
    assert runner.notes == ("Memory ran out; slices are segmented 2 at a time.",)
    network.limit = 1
    run(runner, 4)
    assert runner.notes == ("Memory ran out; slices are segmented 1 at a time.",)


def test_a_study_for_which_a_gpu_lacks_memory_is_corrected_on_the_cpu() -> None:
    network = Moody(lambda size: runner.device.type != "cpu")
    gpu = PretendedGpu(16, never)
    runner = on_pretended_gpu(network, gpu, STUDIES)
    views = np.arange(2 * 4 * 3 * 8 * 8, dtype=np.float32).reshape(2, 4, 3, 8, 8)
    found = runner.run(lambda some: views[some], np.arange(2), lambda _: None, lambda: False)
    np.testing.assert_array_equal(found, 2 * views)
    assert network.tried == [2, 1, 2]
    assert runner.notes == ("The memory of cuda:0 did not suffice to correct a study; the CPU was used instead.",)
    assert gpu.is_left


@pytest.mark.parametrize("asked", range(5))
def test_cancel_is_heeded_before_every_batch_on_a_gpu(asked: int) -> None:
    network = Moody(never)
    runner = on_pretended_gpu(network, PretendedGpu(4, never))
    answers = iter([False] * asked + [True])
    with pytest.raises(Cancelled):
        runner.run(slices, np.arange(20), lambda _: None, lambda: next(answers))
    assert len([size for size in network.tried if size > 1]) == asked
    np.testing.assert_array_equal(run(runner, 9), 2 * slices(np.arange(9)))


def test_feature_maps_of_a_failed_batch_are_gone_when_its_memory_is_given_back() -> None:
    class Keeping(nn.Module):
        """Runs out of memory on the GPU while it holds maps, of which a weak reference is kept."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            maps = 2 * x
            if runner.device.type != "cpu":
                kept.append(weakref.ref(maps))
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            return maps

    class Watching(PretendedGpu):
        """Looks for the maps when it is left."""

        def leave(self) -> None:
            alive.extend(maps() is not None for maps in kept)

    kept: list[weakref.ReferenceType[torch.Tensor]] = []
    alive: list[bool] = []
    runner = on_pretended_gpu(Keeping(), Watching(16, never), STUDIES)
    run(runner, 2)
    assert alive == [False, False]


@pytest.mark.parametrize("count", [1, 4, 9])
def test_the_mirrored_view_is_computed_from_the_same_input(count: int) -> None:
    made: list[int] = []

    def make_input(positions: np.ndarray) -> np.ndarray:
        made.extend(positions.tolist())
        return np.random.default_rng(5).normal(size=(count, 3, 8, 8)).astype(np.float32)[positions]

    torch.manual_seed(2)
    network = nn.Conv2d(3, 1, 3, padding=1).eval()
    runner = NetworkRunner(network, CPU, SLICES)
    twice = runner.run(make_input, np.arange(count), lambda _: None, lambda: False, answer_with_mirror_image)
    assert made == list(range(count))
    once = partial(runner.run, positions=np.arange(count), on_fraction=lambda _: None, is_cancelled=lambda: False)
    mirrored = once(lambda some: np.ascontiguousarray(make_input(some)[..., ::-1]))[..., ::-1]
    np.testing.assert_array_equal(twice, (once(make_input) + mirrored) / 2)
