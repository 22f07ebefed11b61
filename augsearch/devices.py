"""Which devices trainings run on, and what they are slow at."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from augsearch.environment import cores
from augsearch.settings import Settings, WorkerSettings


def workers(settings: WorkerSettings) -> list[str]:
    """A device for each training that may run at a time, such as ["cuda:0", "cuda:1"] or ["cpu", "cpu"]."""
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    devices = list(settings.devices or gpus or ["cpu"])
    return [d for d in devices for _ in range(settings.per_device or (cores() if torch.device(d).type == "cpu" else 1))]


def slow_precision(settings: Settings, devices: Sequence[str]) -> str | None:
    """A warning where a CPU without instructions for bfloat16 is to train in it: several times slower than in float32."""
    if settings.search.own_script or _computes_bfloat16() or torch.device(devices[0]).type != "cpu":
        return None
    trained = {"train": settings.train}
    if "pba" in settings.search.methods:
        trained["search.pba.train"] = settings.population_train
    named = [f"{section}.precision" for section, train in trained.items() if train.precision == "bfloat16"]
    if not named:
        return None
    return f"{' and '.join(named)}: bfloat16 is slow on this CPU, which has no instructions for it; float32 is faster"


def _computes_bfloat16() -> bool:
    able = torch.cpu.get_capabilities()
    return able.get("architecture") != "x86_64" or bool(able.get("avx512_bf16") or able.get("amx_bf16"))
