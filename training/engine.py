"""The distributed engine: the only file that knows Lightning Fabric.

The same program runs as one process, under ``torchrun --nproc-per-node=N -m training ...`` or under
``srun python -m training ...``. In one process every helper below hands back what it was given.

A task needs three rules for W processes to give the loss and the gradients of one process:

1. Draw the whole batch, from the generator that `step_loss` is given: it is the same everywhere.
2. Let networks see it through `encode`: each process encodes its part, all get the whole.
3. Take the loss over the whole batch, targets included; so each process holds the same loss.

::

    records, studies = self._batches.rows(rng, batch)
    out = encode(self.student, ecg, keep)
    target = on_device(self._target[studies])
    loss = info_nce(out.mean_bd, target, self.log_scale, on_device(matched))

A term that is a mean over items takes its value of each item from `encode`, too. Gradients flow
back to the process that made the part, and are averaged over the processes after each step.

bfloat16, where it is chosen, is used inside `encode` alone: differences of near distances would
drown in it.

Equal up to rounding: networks that treat items alone, batch normalisation, whose statistics are
taken over the whole batch (`synchronised_batch_norm`), and dropout outside `encode`. Not equal:
dropout within `encode`, whose randomness differs between processes on purpose.
"""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from model_core.errors import EchoingError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Precision = Literal["auto", "fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("auto", "fp32", "bf16")
_FABRIC_NAME = {"fp32": "32-true", "bf16": "bf16-mixed"}
# What only the main process does (reading a cohort, an evaluation) may take hours.
_PATIENCE = timedelta(days=7)

T = TypeVar("T")


class _Started:
    """The engine of this process; there is one, as there is one process group."""

    fabric: Fabric | None = None
    # Waits long, over gloo; only where there are several processes.
    patient_group: Any = None
    # What the randomness within `encode` follows from, where there are several processes.
    seed: int = 0
    parts: int = 0


def start(precision: Precision = "auto") -> None:
    """Find out how this process was started and join the others, once; later calls do nothing.

    Parameters
    ----------
    precision
        ``bf16`` trains in mixed precision with weights kept in float32; ``auto`` takes it where
        the CUDA device, or without one the processor, computes in it, float32 elsewhere.

    Raises
    ------
    EchoingError
        If the scheduler's variables do not fit together.
    """
    if _Started.fabric is not None:
        return
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    on_gpu = torch.cuda.is_available()
    if precision == "auto":
        precision = "bf16" if _has_bfloat16(on_gpu=on_gpu) else "fp32"
    devices, nodes = 1, 1
    cluster: ClusterEnvironment = LightningEnvironment()
    try:
        if torch.distributed.is_torchelastic_launched():
            cluster = TorchElasticEnvironment()
            devices = int(os.environ["LOCAL_WORLD_SIZE"])
            nodes = int(os.environ["WORLD_SIZE"]) // devices
        elif "SLURM_STEP_ID" in os.environ and int(os.environ["SLURM_NTASKS"]) > 1:
            # Set by srun for each task, not by sbatch for its script.
            cluster = SLURMEnvironment(auto_requeue=False)
            devices = int(os.environ["SLURM_NTASKS_PER_NODE"])
            nodes = int(os.environ["SLURM_NNODES"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise EchoingError(
            f"The variables of srun or torchrun are incomplete: {error}.",
            hint="Under Slurm give --nodes and --ntasks-per-node, one task for each device.",
            code="bad_launch",
        ) from error
    single = devices * nodes == 1
    fabric = Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        # In one phase of a training a parameter may have no part in the loss.
        strategy="auto" if single else DDPStrategy(find_unused_parameters=True),
        devices=devices,
        num_nodes=nodes,
        precision=_FABRIC_NAME[precision],  # type: ignore[arg-type]
        plugins=[cluster],
    )
    fabric.launch()
    if torch.distributed.is_initialized():
        # Else its threads may still run when the process ends, which then aborts.
        atexit.register(torch.distributed.destroy_process_group)
    _Started.fabric = fabric
    if not single:
        _Started.patient_group = torch.distributed.new_group(backend="gloo", timeout=_PATIENCE)


def _has_bfloat16(*, on_gpu: bool) -> bool:
    """Whether bfloat16 is computed in hardware: emulated, it would be slower than float32."""
    if on_gpu:
        return torch.cuda.is_bf16_supported()
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def world_size() -> int:
    """Count the processes that train together."""
    return _Started.fabric.world_size if _Started.fabric else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return _Started.fabric.global_rank if _Started.fabric else 0


def is_main() -> bool:
    """Whether this process writes the files and talks to the user."""
    return rank() == 0


def device() -> torch.device:
    """Where this process's networks are."""
    return _Started.fabric.device if _Started.fabric else torch.device("cpu")


def on_main(work: Callable[[], T]) -> T:
    """Let the main process alone do something, however long; all get its result.

    A result that is not plain data should stay behind: it is sent to the other processes.
    """
    if world_size() == 1:
        return work()
    result = [work() if is_main() else None]
    torch.distributed.broadcast_object_list(result, 0, group=_Started.patient_group)
    return result[0]  # type: ignore[return-value]


def say(text: str) -> None:
    """Print a line, once."""
    if is_main():
        print(text)


# --- for tasks ---


def local(values: T) -> T:
    """Take this process's contiguous part of a whole batch; a tensor goes to the device, too.

    Parameters
    ----------
    values
        Tensor, array or list with one entry an item.

    Raises
    ------
    EchoingError
        If the batch cannot be divided evenly.
    """
    n = world_size()
    if n > 1:
        whole = len(values)  # type: ignore[arg-type]
        if whole % n:
            raise EchoingError(
                f"A batch of {whole} cannot be divided among {n} processes.",
                hint="Choose a batch that is a multiple of the number of processes.",
                code="bad_config",
            )
        part = whole // n
        values = values[rank() * part : (rank() + 1) * part]  # type: ignore[index]
    return on_device(values) if isinstance(values, Tensor) else values  # type: ignore[return-value]


def on_device(values: Tensor) -> Tensor:
    """Move a tensor to where the networks are."""
    return values.to(device())


def encode(network: Callable[..., T], *inputs: Tensor | list[Any]) -> T:
    """Run a network over a whole batch, each process over its part.

    Parameters
    ----------
    network
        Gives a tensor, or a tuple of tensors, with an entry for each item.
    *inputs
        Whole batches, with an entry for each item.

    Returns
    -------
    Tensor or tuple of Tensor
        What the network gives for the whole batch, at least in float32, with gradients.
    """
    precision = _Started.fabric.autocast() if _Started.fabric else nullcontext()
    with precision, _own_randomness():
        out = network(*map(local, inputs))
    if isinstance(out, Tensor):
        return gather(out)  # type: ignore[return-value]
    parts = [gather(part) for part in out]  # type: ignore[attr-defined]
    return type(out)(*parts) if hasattr(out, "_fields") else type(out)(parts)  # type: ignore[call-arg]


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Let dropout differ between the parts of a batch; outside, all processes draw the same."""
    if world_size() == 1:
        yield
        return
    with torch.random.fork_rng([device()] if device().type == "cuda" else []):
        _Started.parts += 1
        torch.manual_seed(_Started.seed + world_size() * _Started.parts + rank())
        yield


def gather(part: Tensor) -> Tensor:
    """Bring the parts of all processes together, in order, with gradients.

    Parameters
    ----------
    part
        Floating point, first dimension the items of this process.

    Returns
    -------
    Tensor
        At least float32, first dimension the items of the whole batch.
    """
    part = _full(part)
    if _Started.fabric is None or world_size() == 1:
        return part
    # Fabric gives (processes, items, ...) from several processes.
    gathered = _Started.fabric.all_gather(part, sync_grads=part.requires_grad)
    return gathered.flatten(0, 1)  # type: ignore[union-attr]


def _full(values: Tensor) -> Tensor:
    """Lift bfloat16 to float32."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def full_precision() -> AbstractContextManager[object]:
    """Keep bfloat16 out of a block."""
    return torch.autocast(device().type, enabled=False)


# --- for the loop ---


def seed(number: int) -> None:
    """Make all of torch's randomness follow from a number."""
    torch.manual_seed(number)
    _Started.seed, _Started.parts = number * 1_000_003, 0


def wrap(task: nn.Module) -> nn.Module:
    """Move a task to its device; calling the result averages gradients over the processes."""
    start()
    assert _Started.fabric is not None  # noqa: S101 - start() has just set it
    if world_size() > 1:
        # Of no use to who trains: said by torch about the two packages' own agreement.
        warnings.filterwarnings("ignore", message="find_unused_parameters=True was specified")
        warnings.filterwarnings("ignore", message=".*all_gather is deprecated")
    return _Started.fabric.setup_module(task)


def backward(loss: Tensor) -> None:
    """Compute gradients, averaged over the processes."""
    assert _Started.fabric is not None  # noqa: S101
    _Started.fabric.backward(loss)


def mean(value: Tensor) -> float:
    """Average a number over the processes."""
    if _Started.fabric is not None and world_size() > 1:
        value = _Started.fabric.all_reduce(value, reduce_op="mean")  # type: ignore[assignment]
    return float(value)


@contextmanager
def synchronised_batch_norm(task: nn.Module) -> Iterator[None]:
    """Let batch normalisation see the whole batch, not this process's part.

    torch's own ``SyncBatchNorm`` does so on GPUs only.
    """
    found = [m for m in task.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001
    if world_size() > 1:
        for module in found:
            vars(module)["forward"] = partial(_batch_norm_over_all, module)
    try:
        yield
    finally:
        for module in found:
            vars(module).pop("forward", None)


def _batch_norm_over_all(module: nn.modules.batchnorm._BatchNorm, x: Tensor) -> Tensor:
    if not module.training:
        return type(module).forward(module, x)
    others = [d for d in range(x.ndim) if d != 1]
    shape = [1, -1] + [1] * (x.ndim - 2)
    wide = _full(x)
    n = world_size() * x.numel() // x.shape[1]
    mean_c = gather(wide.sum(others)[None]).sum(0) / n
    centred = wide - mean_c.view(shape)
    var_c = gather(centred.square().sum(others)[None]).sum(0) / n
    if module.running_mean is not None and module.running_var is not None:
        with torch.no_grad():
            seen = module.num_batches_tracked.add_(1)  # type: ignore[union-attr]
            share = 1.0 / float(seen) if module.momentum is None else module.momentum
            module.running_mean.lerp_(mean_c, share)
            module.running_var.lerp_(var_c * n / (n - 1), share)
    out = centred * (var_c + module.eps).rsqrt().view(shape)
    if module.affine:
        out = out * module.weight.view(shape) + module.bias.view(shape)
    return out.to(x.dtype)
