"""Bridge and gates against MONAI's: the same weights, the same names, the same numbers."""

from __future__ import annotations

import torch
from monai.networks.blocks.aspp import SimpleASPP
from monai.networks.nets.attentionunet import AttentionBlock
from torch import nn

from BrainTumorSegLib.engine.networks.attention import AtrousPyramid, AttentionGate


def built_alike(ours: nn.Module, theirs: nn.Module) -> None:
    """Gives ours the weights of theirs, which it must name alike, with statistics that are not the initial ones."""
    torch.manual_seed(5)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    ours.load_state_dict(theirs.state_dict())
    ours.eval()
    theirs.eval()


def test_the_bridge_computes_what_monais_does() -> None:
    ours = AtrousPyramid(24, 8, (1, 2, 4, 6))
    theirs = SimpleASPP(2, 24, 8, (1, 3, 3, 3), (1, 2, 4, 6), "BATCH", "RELU", False)
    built_alike(ours, theirs)
    x = torch.randn(2, 24, 16, 16)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=0)


def test_the_gates_compute_what_monais_do() -> None:
    ours, theirs = AttentionGate(12, 10, 6), AttentionBlock(2, f_int=6, f_g=12, f_l=10)
    built_alike(ours, theirs)
    g, x = torch.randn(2, 12, 8, 8), torch.randn(2, 10, 8, 8)
    torch.testing.assert_close(ours(g=g, x=x), theirs(g=g, x=x), rtol=0, atol=0)
