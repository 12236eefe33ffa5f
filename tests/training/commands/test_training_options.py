"""What every command that trains shows of its steps."""

from __future__ import annotations

from brain_tumor_training.commands.training_options import step_bar


def test_a_loss_that_nobody_sees_is_not_read() -> None:
    """To read it is to wait for a GPU. Here is no terminal, as on a cluster."""
    read = []
    with step_bar() as on_progress:
        for step in range(1, 4):
            on_progress(step, 3, lambda: read.append(0.5) or 0.5)
    assert not read
