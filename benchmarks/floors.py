"""What this machine does at best, and the least time that a network could take on it. Needs nothing but PyTorch."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

_MATRIX_SIDE = 2048
_COPY_BYTES = 256 * 2**20


class Roofline(TorchDispatchMode):
    """Sums, over the operations that run in it, the least time each could take.

    flops_per_s: by type of number. bytes_per_s: of a copy, its reading and its writing counted. flops: of all.
    """

    def __init__(self, flops_per_s: Mapping[torch.dtype, float], bytes_per_s: float) -> None:
        super().__init__()
        self._flops_per_s, self._bytes_per_s = flops_per_s, bytes_per_s
        self.seconds = 0.0
        self.flops = 0
        self.by_limit: dict[str, float] = defaultdict(float)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs the operation, in parts where it has parts (in inference mode they come whole), and counts it."""
        kwargs = kwargs or {}
        if func.overloadpacket not in flop_registry:
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        tensors = [one for one in tree_leaves((args, kwargs, out)) if isinstance(one, torch.Tensor)]
        if tensors and not func.is_view:
            flops = _flops(func, args, kwargs, out)
            limits = {
                "arithmetic": flops / self._flops_per_s.get(tensors[0].dtype, float("inf")),
                "memory": sum(one.nbytes for one in tensors) / self._bytes_per_s,
            }
            limit = max(limits, key=lambda name: limits[name])
            self.flops += flops
            self.seconds += limits[limit]
            self.by_limit[limit] += limits[limit]
        return out


def _flops(func: Any, args: Any, kwargs: Any, out: Any) -> int:
    """Of one operation; a multiplication and an addition are two."""
    if func.overloadpacket is torch.ops.aten.convolution_backward:
        # Each gradient costs what the way forward costs. PyTorch's own count forgets that filters may be in groups.
        gradient, image, weight = args[:3]
        return 2 * sum(args[-1][:2]) * image.shape[0] * gradient[0, 0].numel() * weight.numel()
    count = flop_registry.get(func.overloadpacket)
    return count(*args, **kwargs, out_val=out) if count else 0


def matrix_flops_per_s(dtype: torch.dtype) -> float:
    """The best of five products of large matrices; a multiplication and an addition are two."""
    a, b = (torch.randn(_MATRIX_SIDE, _MATRIX_SIDE).to(dtype) for _ in range(2))
    return 2 * _MATRIX_SIDE**3 / min(seconds(lambda: torch.matmul(a, b)) for _ in range(5))


def copy_bytes_per_s() -> float:
    """The best of five copies of more than the caches hold; what is read and what is written both count."""
    source = torch.ones(_COPY_BYTES, dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2 * _COPY_BYTES / min(seconds(lambda: target.copy_(source)) for _ in range(5))


def seconds(function: Callable[[], object]) -> float:
    """How long it takes by the clock."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
