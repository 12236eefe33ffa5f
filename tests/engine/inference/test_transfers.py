"""How much fits on a device, and that arrays come there and back whole."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from BrainTumorSegLib.engine.inference.transfers import CudaTransfers, Transfers, batch_within, transfers_to

GIB = 2**30


@pytest.mark.parametrize("limit", [1, 4, 16, 64])
def test_a_batch_is_the_largest_power_of_two_in_half_of_the_free_memory(limit: int) -> None:
    rng = np.random.default_rng(limit)
    for free_bytes, bytes_each in zip(rng.integers(0, 8 * GIB, 500), rng.integers(1, GIB, 500), strict=True):
        batch = batch_within(int(free_bytes), int(bytes_each), limit)
        assert 1 <= batch <= limit
        assert batch.bit_count() == 1
        assert batch == 1 or batch * bytes_each <= free_bytes / 2
        assert 2 * batch > limit or 2 * batch * bytes_each > free_bytes / 2


def test_more_free_memory_never_makes_a_batch_smaller() -> None:
    batches = [batch_within(free_bytes, 60 * 2**20, 16) for free_bytes in range(0, 4 * GIB, 2**24)]
    assert all(before <= after for before, after in itertools.pairwise(batches))
    assert batches[0] == 1
    assert set(batches) == {1, 2, 4, 8, 16}


def test_what_takes_no_memory_is_bound_by_the_limit_alone() -> None:
    assert batch_within(0, 0, 16) == 16


def test_on_the_processor_an_array_stays_where_it_is() -> None:
    transfers = transfers_to(torch.device("cpu"))
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    sent = transfers.send(array)
    assert np.shares_memory(sent.numpy(), array)
    assert np.shares_memory(transfers.fetch(sent)(), array)
    assert type(transfers) is Transfers
    assert transfers.ahead == 0


@pytest.mark.gpu
def test_to_a_gpu_arrays_go_and_come_back_through_pinned_memory() -> None:
    device = torch.device("cuda", 0)
    transfers = transfers_to(device)
    assert isinstance(transfers, CudaTransfers)
    array = np.random.default_rng(3).normal(size=(4, 5, 256, 256)).astype(np.float32)
    with torch.profiler.profile(activities=list(torch.profiler.supported_activities())) as profile:
        wait = transfers.fetch(2 * transfers.send(array))
        np.testing.assert_array_equal(wait(), 2 * array)
    copies = {event.name for event in profile.events() if event.name.startswith("Memcpy")}
    assert {"Memcpy HtoD (Pinned -> Device)", "Memcpy DtoH (Device -> Pinned)"} <= copies


@pytest.mark.gpu
def test_what_a_gpu_is_told_is_not_waited_for() -> None:
    """The next array is made, sent and told about while the GPU still computes."""
    device = torch.device("cuda", 0)
    transfers = transfers_to(device)
    array = np.ones((2, 3), np.float32)
    for wait in [transfers.fetch(transfers.send(array)) for _ in range(8)]:  # whatever is set up once
        wait()
    torch.cuda._sleep(10**9)  # cycles: about half a second
    waits = [transfers.fetch(number * transfers.send(array)) for number in (1, 2, 3)]
    assert not torch.cuda.current_stream(device).query()
    for number, wait in zip((1, 2, 3), waits, strict=True):
        np.testing.assert_array_equal(wait(), number * array)


@pytest.mark.gpu
def test_memory_that_is_used_again_still_gives_every_array_its_own_numbers() -> None:
    """A tensor's memory is given to the next upload as soon as Python is done with it, before the GPU is."""
    transfers = transfers_to(torch.device("cuda", 0))
    arrays = [np.full((8, 5, 256, 256), number, np.float32) for number in range(40)]
    weights = torch.ones(256, 256, device="cuda")
    waits = []
    for array in arrays:
        waits.append(transfers.fetch(transfers.send(array) @ weights))
    for number, wait in enumerate(waits):
        np.testing.assert_array_equal(wait(), np.full((8, 5, 256, 256), 256 * number, np.float32))


@pytest.mark.gpu
def test_the_batch_for_a_gpu_follows_what_one_takes() -> None:
    device = torch.device("cuda", 0)
    transfers = transfers_to(device)
    total = torch.cuda.mem_get_info(device)[1]

    def take(share: float) -> None:
        torch.empty(int(share * total), dtype=torch.uint8, device=device)

    assert transfers.fitting_batch(lambda: take(1e-6), 16) == 16
    if torch.cuda.mem_get_info(device)[0] > 0.5 * total:
        assert transfers.fitting_batch(lambda: take(0.2), 16) <= 2
    transfers.leave()
