"""Where trainings run, and what is said of it."""

import logging
from typing import Any

import pytest
import torch

from augsearch.settings import settings_from
from tasks import slots

ABLE = {"architecture": "x86_64", "avx512_bf16": True}
UNABLE = {"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False}
POPULATION = {"methods": ["pba"], "pba": {"train": {"precision": "bfloat16"}}}


@pytest.mark.parametrize(
    ("changes", "device", "able", "said"),
    [
        ({"train": {"precision": "bfloat16"}}, "cpu", UNABLE, "train.precision: bfloat16 is slow on this CPU"),
        ({"search": POPULATION, "retrain": {"arms": ["pba"]}}, "cpu", UNABLE, "search.pba.train.precision: bfloat16 is slow"),
        ({"train": {"precision": "bfloat16"}}, "cpu", ABLE, None),
        ({"train": {"precision": "bfloat16"}}, "cuda:0", UNABLE, None),
        ({}, "cpu", UNABLE, None),
    ],
)
def test_a_precision_that_the_processor_lacks_is_said(
    changes: dict[str, Any], device: str, able: dict[str, object], said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    logger = logging.Logger("test")
    logger.addFilter(lambda record: bool(heard.append(record.getMessage())))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    monkeypatch.setattr(slots, "get_run_logger", lambda: logger)
    slots.warn_of_slow_precision(settings_from(changes, "test"), [device])
    assert len(heard) == (said is not None)
    assert all(line.startswith(said or "") for line in heard)
