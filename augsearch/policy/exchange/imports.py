"""What can be imported, by the name that the command line gives it."""

from __future__ import annotations

from collections.abc import Callable

from augsearch.policy import Policy, Schedule
from augsearch.policy.exchange import fast_autoaugment, pba, torchvision_policies, tuun
from augsearch.policy.exchange.options import Options

IMPORTERS: dict[str, Callable[[str, Options], Policy | Schedule]] = {
    "pba": pba.load,
    "tuun": tuun.load,
    "autoaugment": torchvision_policies.autoaugment,
    "randaugment": torchvision_policies.randaugment,
    "trivialaugment": torchvision_policies.trivialaugment,
    "fast-autoaugment": fast_autoaugment.load,
}
