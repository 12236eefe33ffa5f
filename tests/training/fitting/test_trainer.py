import csv
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import training_phantom
from brain_tumor_training.fitting.averaging import STATISTICS_BATCHES
from brain_tumor_training.fitting.batches import Pools
from brain_tumor_training.fitting.trainer import Trainer
from brain_tumor_training.recipes.settings import OptimiserSettings, Phase, ValidationSettings
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference.device import Compute, choose
from training_phantom import CPU, SIZE_PX, load_pools, tiny_network, tiny_settings

STEEP = {"validation": ValidationSettings(every_steps=1, plateau_patience=0, plateau_factor=0.5)}
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
LOOKS = {"validation": ValidationSettings(every_steps=2)}


def _weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _trainer(run: Path, compute: Compute = CPU, **changes: object) -> Trainer:
    return Trainer(tiny_network(), tiny_settings(**changes), compute, run)


@pytest.mark.parametrize(
    "kept",
    [
        {"validation": ValidationSettings(every_steps=2, patience=50)},
        {"averaged_phases": 2, **LOOKS},
        {"phases": (Phase(SIZE_PX, 7, 1e-1, schedule="plateau"), Phase(SIZE_PX, 5, 1e-1, schedule="plateau")), **STEEP},
    ],
    ids=["the best", "a mean", "plateaus"],
)
@pytest.mark.parametrize("stops", [[3], [7], [9, 1]], ids=["in a phase", "between phases", "twice"])
def test_an_interrupted_run_ends_with_the_very_weights_of_an_uninterrupted_one(
    tmp_path: Path, stops: list[int], kept: dict[str, object]
) -> None:
    changes = {"ema_decay": 0.7, **kept}
    whole = _trainer(tmp_path / "whole", **changes).fit(load_pools)
    for steps in stops:
        assert _trainer(tmp_path / "parts", **changes).fit(load_pools, stop_after=steps) is None
    parts = _trainer(tmp_path / "parts", **changes).fit(load_pools)
    assert whole is not None
    assert parts is not None
    expected, found = _weights(whole), _weights(parts)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert _rows(tmp_path / "whole" / "validation.csv") == _rows(tmp_path / "parts" / "validation.csv")


def test_a_run_begun_by_another_version_is_refused(tmp_path: Path) -> None:
    _trainer(tmp_path).fit(load_pools, stop_after=3)
    checkpoint = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del checkpoint["version"]
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match=r"another version.*Choose another folder"):
        _trainer(tmp_path).fit(load_pools)


def test_training_lowers_the_loss_and_logs_it(tmp_path: Path) -> None:
    _trainer(tmp_path, phases=(Phase(SIZE_PX, 80, 2e-2, 3),), augmentation=None).fit(load_pools)
    losses = [float(row["loss"]) for row in _rows(tmp_path / "log.csv")]
    assert len(losses) == 4
    assert losses[-1] < 0.6 * losses[0]


def test_the_logged_loss_is_the_mean_of_the_steps_since_the_last_line(tmp_path: Path) -> None:
    losses: list[float] = []
    trainer = _trainer(tmp_path, phases=(Phase(SIZE_PX, 27, 2e-2, 3),))
    trainer.fit(load_pools, lambda _done, _all, loss: losses.append(loss()))
    logged = [row["loss"] for row in _rows(tmp_path / "log.csv")]
    assert logged == [f"{math.fsum(some) / len(some):.5f}" for some in (losses[:20], losses[20:])]


@needs_cuda
def test_a_step_does_not_wait_for_the_gpu(tmp_path: Path) -> None:
    """Between the lines of the log torch itself raises where a step would wait. Resumed, so that state is read."""
    compute = choose("cuda")
    _trainer(tmp_path, compute=compute).fit(load_pools, stop_after=2)

    def watch(done: int, _all: int, _loss: object) -> None:
        torch.cuda.set_sync_debug_mode("error" if done in range(3, 6) else "default")

    try:
        _trainer(tmp_path, compute=compute).fit(load_pools, watch, stop_after=4)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_mean_of_the_weights_starts_anew_with_each_phase(tmp_path: Path) -> None:
    """The second phase can't move the weights, so their mean is what the first one ended with, not its history."""
    still = Phase(SIZE_PX, 3, 1e-30, schedule="constant")
    moving = Phase(SIZE_PX, 6, 1e-1, schedule="constant")
    last = _weights(_trainer(tmp_path / "last", phases=(moving,), ema_decay=0.0).fit(load_pools))
    mean = _weights(_trainer(tmp_path / "mean", phases=(moving, still), ema_decay=0.99).fit(load_pools))
    torch.testing.assert_close(mean["0.weight"], last["0.weight"], rtol=1e-5, atol=1e-6)


def test_the_finished_weights_are_the_mean_of_the_last_phases_ends(tmp_path: Path) -> None:
    phases = [Phase(SIZE_PX, 4, 1e-2) for _ in range(3)]
    ends = [_weights(_trainer(tmp_path / str(count), phases=phases[:count]).fit(load_pools)) for count in range(1, 4)]
    found = _weights(_trainer(tmp_path / "mean", phases=phases, averaged_phases=2).fit(load_pools))
    assert not torch.equal(ends[1]["0.weight"], ends[2]["0.weight"])
    learned = [name for name, _ in tiny_network().named_parameters()]
    for name in learned:
        torch.testing.assert_close(found[name], (ends[1][name] + ends[2][name]) / 2, rtol=1e-5, atol=1e-7)
    assert found["1.num_batches_tracked"] == STATISTICS_BATCHES  # statistics of its own, not their mean


@pytest.mark.parametrize("count", [0, 3])
def test_a_mean_of_phases_that_are_not_there_is_refused(count: int) -> None:
    phases = (Phase(SIZE_PX, 4), Phase(SIZE_PX, 4))
    with pytest.raises(InputError, match=rf"last {count} of 2 phases.*from 1 to that of the phases"):
        tiny_settings(phases=phases, averaged_phases=count)


def test_the_best_weights_and_a_mean_are_not_had_together() -> None:
    phases = (Phase(SIZE_PX, 4), Phase(SIZE_PX, 4))
    with pytest.raises(InputError, match=r"best weights and a mean.*Leave out averaged_phases"):
        tiny_settings(phases=phases, averaged_phases=2, validation=ValidationSettings(patience=3))


def test_a_mean_is_not_taken_of_a_network_that_is_partly_frozen() -> None:
    phases = (Phase(SIZE_PX, 4), Phase(SIZE_PX, 4))
    with pytest.raises(InputError, match=r"frozen layers too.*or trainable_layers"):
        tiny_settings(phases=phases, averaged_phases=2, trainable_layers=0)


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    one = _weights(_trainer(tmp_path / "one").fit(load_pools))
    other = _weights(_trainer(tmp_path / "other", seed=4).fit(load_pools))
    assert not torch.equal(one["0.weight"], other["0.weight"])


def test_early_stopping_keeps_the_best_weights_and_skips_what_is_left(tmp_path: Path) -> None:
    """A rate so high that the loss jumps about: sooner or later three looks in a row are no better."""
    trainer = _trainer(
        tmp_path,
        phases=(Phase(SIZE_PX, 40, 50.0, schedule="constant"), Phase(SIZE_PX, 40, 50.0)),
        validation=ValidationSettings(every_steps=1, patience=3),
        ema_decay=0.0,
        optimiser=OptimiserSettings("adam", {}),
    )
    weights = trainer.fit(load_pools)
    looks = [float(row["loss"]) for row in _rows(tmp_path / "validation.csv")]
    assert len(looks) < 40
    assert min(looks[:-3]) <= min(looks[-3:])
    best = _weights(tmp_path / "best.pt")
    assert weights is not None
    assert all(torch.equal(tensor, best[name]) for name, tensor in _weights(weights).items())


def test_epochs_show_every_slice_once(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, phases=(Phase(SIZE_PX, epochs=2, learning_rate=1e-3),), batch_size=5)
    trainer.fit(load_pools)
    assert _rows(tmp_path / "log.csv")[-1]["step"] == "4"  # 2 patients of 5 slices, batches of 5, twice


def test_two_processes_train_the_same_network_as_one(tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
    }
    script = training_phantom.__file__
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    subprocess.run([*torchrun, script, str(tmp_path / "two")], check=True, env=environment, capture_output=True)
    training_phantom.train_plainly(tmp_path / "one")
    one, two = _weights(tmp_path / "one" / "weights.pt"), _weights(tmp_path / "two" / "weights.pt")
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-5)
    assert len(_rows(tmp_path / "two" / "log.csv")) == len(_rows(tmp_path / "one" / "log.csv"))


def test_a_plateau_without_validation_is_refused() -> None:
    with pytest.raises(InputError, match=r"plateau needs validation.*Add the recipe's part 'validation'"):
        tiny_settings(phases=(Phase(SIZE_PX, 4, schedule="plateau"),))


def test_a_phase_without_a_length_is_refused() -> None:
    with pytest.raises(InputError, match=r"length of a phase.*steps or its epochs"):
        Phase(SIZE_PX)


def test_slices_without_tumour_alone_are_refused(tmp_path: Path) -> None:
    def load(_size_px: int) -> Pools:
        pools = load_pools(SIZE_PX)
        pools.training.patients[0].mask[:] = False
        pools.training.patients[1].mask[:] = False
        return pools

    with pytest.raises(InputError, match=r"0 training slices with tumour and 10 without"):
        _trainer(tmp_path).fit(load)
