"""Slots: the places where a training can run, each a device, and trainings handed to them as they fall free."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from prefect import Task, get_run_logger
from prefect.futures import PrefectFuture, as_completed

from augsearch.settings import Settings, WorkerSettings


def free_slots(settings: WorkerSettings) -> list[str]:
    """A device for each training that may run at a time, such as ["cuda:0", "cuda:1"] or ["cpu", "cpu"]."""
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    devices = list(settings.devices or gpus or ["cpu"])
    slots: list[str] = []
    for device in devices:
        on_cpu = torch.device(device).type == "cpu"
        slots += [device] * (settings.per_device or (_cores() if on_cpu else 1))
    return slots


def warn_of_slow_precision(settings: Settings, slots: Sequence[str]) -> None:
    """A CPU without instructions for bfloat16 trains in it all the same, several times slower than in float32."""
    if named := _in_bfloat16(settings, slots):
        get_run_logger().warning(
            f"{' and '.join(named)}: bfloat16 is slow on this CPU, which has no instructions for it; float32 is faster"
        )


def _in_bfloat16(settings: Settings, slots: Sequence[str]) -> list[str]:
    """Settings that have a CPU compute in bfloat16 which cannot."""
    if settings.search.own_script or _computes_bfloat16() or not any(torch.device(slot).type == "cpu" for slot in slots):
        return []
    trained = {"train": settings.train}
    if "pba" in settings.search.methods:
        trained["search.pba.train"] = settings.population().train
    return [f"{section}.precision" for section, train in trained.items() if train.precision == "bfloat16"]


def _computes_bfloat16() -> bool:
    able = torch.cpu.get_capabilities()
    return able.get("architecture") != "x86_64" or bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Slots:
    """Calls of one task, waiting, running and ended; no device ever has more of them than it has slots."""

    def __init__(self, task: Task[..., Any], devices: Sequence[str]) -> None:
        self._task = task
        self._devices = deque(devices)
        self._waiting: deque[tuple[Any, dict[str, Any]]] = deque()
        self._running: dict[PrefectFuture[Any], tuple[Any, str]] = {}

    def add(self, key: Any, call: dict[str, Any]) -> None:
        """Have `task(**call, device=...)` run, at once if a slot is free."""
        self._waiting.append((key, call))
        self._start()

    def free(self) -> int:
        """How many more calls would start at once."""
        return max(len(self._devices) - len(self._waiting), 0)

    def finished(self) -> Iterator[tuple[Any, Any | BaseException]]:
        """(key, result) of every call as it ends, also of calls added meanwhile; an exception where the task raised."""
        while self._running:
            done = next(iter(as_completed(list(self._running))))
            key, device = self._running.pop(done)
            self._devices.append(device)
            self._start()
            yield key, done.result(raise_on_failure=False)

    def _start(self) -> None:
        while self._waiting and self._devices:
            key, call = self._waiting.popleft()
            device = self._devices.popleft()
            self._running[self._task.submit(**call, device=device)] = (key, device)
