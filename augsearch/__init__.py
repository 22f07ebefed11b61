"""augsearch finds the data augmentation that makes an image classifier better, and proves it.

import augsearch

policy = augsearch.load_policy("models/policies/tuun.json")
augment = augsearch.Augment(policy, seed=0)
images = augment(images, epoch=epoch)  # (B, C, H, W) uint8
"""

from augsearch.augment import Augment
from augsearch.errors import AugsearchError
from augsearch.policy import Operation, Policy, Schedule, Segment, SubPolicy, load_policy

__all__ = ["Augment", "AugsearchError", "Operation", "Policy", "Schedule", "Segment", "SubPolicy", "load_policy"]
