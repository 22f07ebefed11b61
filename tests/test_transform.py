"""A policy as a transform of single images, as torchvision's data sets use it."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

import augsearch
from augsearch import Augment, Chain, Operation, Policy, Schedule, Segment, SubPolicy, Transform
from augsearch.errors import PolicyError
from augsearch.policy.ops import OPS

POLICY = Policy(tuple(SubPolicy((Operation(name, 0.7, 0.8),)) for name in ("Rotate", "Solarize", "RandomCrop")), draw="image")
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (60, 3, 16, 16)).astype(np.uint8))


def pictures(images: Tensor) -> list[Image.Image]:
    return [Image.fromarray(np.ascontiguousarray(image.numpy().transpose(1, 2, 0))) for image in images]


def test_one_by_one_is_the_same_as_together() -> None:
    every = Policy(tuple(SubPolicy((Operation(name, 0.7, 0.6),)) for name in OPS if not OPS[name].paired), draw="image")
    expected = Augment(every, seed=5)(IMAGES)
    transform = Transform(every, seed=5)
    assert torch.equal(torch.stack([transform(image) for image in IMAGES]), expected)
    transform = Transform(every, seed=5)
    of_pillow = np.stack([np.asarray(transform(picture)).transpose(2, 0, 1) for picture in pictures(IMAGES)])
    assert np.array_equal(of_pillow, expected.numpy())


KEEP, INVERT = (Policy((SubPolicy((Operation(name, 1.0, 0.0),)),)) for name in ("Identity", "Invert"))


@pytest.mark.parametrize(
    "item", [Schedule((Segment(1, KEEP), Segment(2, POLICY), Segment(1, INVERT))), Chain((POLICY, Schedule.of([(2, POLICY)])))]
)
def test_schedules_and_chains_follow_the_epoch_as_batches_do(item: Schedule | Chain) -> None:
    augment, transform = Augment(item, seed=5), Transform(item, seed=5)
    for epoch in (0, 1, 2, 3):
        transform.epoch = epoch
        assert torch.equal(torch.stack([transform(image) for image in IMAGES]), augment(IMAGES, epoch=epoch))
    with pytest.raises(PolicyError, match="epoch: -1; must be at least 0"):
        transform.epoch = -1


def test_ones_own_operations_and_other_channels() -> None:
    own = Policy(
        (SubPolicy((Operation("tests.own_operations:darken", 1.0, 0.5), Operation("Invert", 1.0, 0.0))),), draw="image"
    )
    expected = Augment(own)(IMAGES[:1])[0]
    assert torch.equal(Transform(own)(IMAGES[0]), expected)
    assert torch.equal(Transform(own)(IMAGES[0, :2]), expected[:2])


def test_grayscale_pictures_and_torchvision_images_keep_their_kind() -> None:
    transform = v2.Compose([Transform(POLICY)])
    assert transform(Image.new("L", (16, 16))).mode == "L"
    assert isinstance(transform(tv_tensors.Image(IMAGES[0])), tv_tensors.Image)


def test_each_image_draws_its_own_sub_policy() -> None:
    both = Policy((SubPolicy((Operation("Invert", 1.0, 0.0),)), SubPolicy((Operation("Identity", 1.0, 0.0),))), draw="batch")
    transform = Transform(both)
    inverted = [torch.equal(transform(image), 255 - image) for image in IMAGES]
    assert 12 < sum(inverted) < 48


class Plain(Dataset[Any]):
    def __init__(self, transform: Transform) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, i: int) -> Tensor:
        return self.transform(IMAGES[0])


def test_workers_and_epochs_differ_and_repeat() -> None:
    def two_epochs() -> Tensor:
        torch.manual_seed(3)
        transform = Transform(POLICY)
        transform(IMAGES[0])  # used before the workers are made
        loader = DataLoader(Plain(transform), batch_size=10, num_workers=2)
        return torch.cat([batch for _ in range(2) for batch in loader])

    first = two_epochs()
    parts = first.reshape(12, 10, *first.shape[1:])  # batches alternate between the two workers
    assert len({part.numpy().tobytes() for part in parts}) == 12
    assert torch.equal(two_epochs(), first)


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_see_the_epoch(persistent: bool) -> None:
    transform = Transform(Schedule((Segment(1, KEEP), Segment(1, INVERT))))
    loader = DataLoader(Plain(transform), batch_size=30, num_workers=2, persistent_workers=persistent)
    for epoch in (0, 1, 0):
        transform.epoch = epoch
        expected = 255 - IMAGES[0] if epoch else IMAGES[0]
        assert all(torch.equal(image, expected) for batch in loader for image in batch)


def test_no_policy_changes_nothing() -> None:
    assert torch.equal(augsearch.Transform(None)(IMAGES[0]), IMAGES[0])


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (
            torch.zeros(3, 8, 8),
            r"Tensor \(3, 8, 8\) torch.float32; must be a Pillow image or \(C, H, W\) uint8: put the transform before",
        ),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), r"\(2, 3, 8, 8\) torch.uint8; must be"),
        (tv_tensors.Mask(torch.zeros(1, 8, 8, dtype=torch.uint8)), r"Mask \(1, 8, 8\) torch.uint8; must be"),
        (Image.new("RGBA", (8, 8)), "mode 'RGBA'; must be RGB or L"),
        (np.zeros((8, 8, 3)), "ndarray; must be"),
    ],
)
def test_what_is_no_image_for_it(image: Any, words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        Transform(POLICY)(image)


def test_operations_on_several_images_are_refused() -> None:
    with pytest.raises(PolicyError, match=r"SamplePairing: mixes in other images; apply augsearch\.Augment to batches"):
        Transform(Policy((SubPolicy((Operation("SamplePairing", 1.0, 0.5),)),)))
