"""Slots: the places where a training can run, each a device, and trials handed to them as they fall free."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from prefect import Task
from prefect.futures import PrefectFuture, as_completed

from augsearch.config import SlotSettings


def free_slots(settings: SlotSettings) -> list[str]:
    """A device for each training that may run at a time, such as ["cuda:0", "cuda:1"] or ["cpu", "cpu"]."""
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    devices = list(settings.devices or gpus or ["cpu"])
    slots: list[str] = []
    for device in devices:
        on_cpu = torch.device(device).type == "cpu"
        slots += [device] * (settings.per_device or (_cores() if on_cpu else 1))
    return slots


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_slots(
    task: Task[..., Any], calls: Sequence[dict[str, Any]], slots: Sequence[str]
) -> Iterator[tuple[int, Any | BaseException]]:
    """Submit `task(**call, device=slot)` for every call; yield (index of the call, result) as they end.

    A task that raised yields its exception. No device ever has more calls than slots.
    """
    free = list(slots)
    waiting = list(enumerate(calls))[::-1]
    running: dict[PrefectFuture[Any], tuple[int, str]] = {}
    while waiting or running:
        while waiting and free:
            index, call = waiting.pop()
            slot = free.pop(0)
            running[task.submit(**call, device=slot)] = (index, slot)
        done = next(iter(as_completed(list(running))))
        index, slot = running.pop(done)
        free.append(slot)
        yield index, done.result(raise_on_failure=False)
