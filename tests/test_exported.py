"""Exported modules at work: what they take, and what they refuse in one line."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from augsearch.policy import Augmentation, Operation, Policy, Schedule, Segment, SubPolicy
from augsearch.policy.exchange import export
from augsearch.policy.ops import OPS

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
IMAGE = torch.from_numpy(PIXELS.transpose(2, 0, 1).copy())


def module_of(item: Augmentation, folder: Path, target: str = "torchvision") -> ModuleType:
    path = folder / "exported_policy.py"
    export(item, target, path)
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def policy_of(*names: str, probability: float = 1.0, magnitude: float = 0.0) -> Policy:
    return Policy(tuple(SubPolicy((Operation(name, probability, magnitude),)) for name in names), "tuun", "image")


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """Every operation that can be exported, at .8, each in one of the images."""
    policy = policy_of(*(name for name, op in OPS.items() if not op.paired), magnitude=0.8)
    return module_of(policy, tmp_path_factory.mktemp("every"))


@pytest.fixture(scope="module")
def invert(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return module_of(policy_of("Invert"), tmp_path_factory.mktemp("invert"))


@pytest.fixture(scope="module")
def flip(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return module_of(policy_of("HorizontalFlip", magnitude=1.0), tmp_path_factory.mktemp("flip"))


# --- pictures -----------------------------------------------------------------------------------------

KINDS = {
    **{mode: mode for mode in ("RGB", "L", "RGBA", "LA")},
    "1": "L",
    "La": "LA",
    "RGBa": "RGBA",
    "PA": "RGBA",
    **dict.fromkeys(("P", "RGBX", "CMYK", "YCbCr", "HSV"), "RGB"),
}


def picture(mode: str) -> Image.Image:
    rgb = Image.fromarray(PIXELS)
    through = {"La": "LA", "RGBa": "RGBA", "LA": "L", "PA": "P"}.get(mode)
    return (rgb.convert(through) if through else rgb).convert(mode)


@pytest.mark.parametrize("mode", KINDS)
def test_pictures_of_every_8_bit_mode_in_a_compose(every: ModuleType, mode: str) -> None:
    transform = v2.Compose([every.Augment(), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    torch.manual_seed(0)
    shapes = {tuple(transform(picture(mode)).shape) for _ in range(60)}
    assert shapes == {(len(KINDS[mode]), 12, 16)}
    assert every.Augment()(picture(mode)).mode == KINDS[mode]


def test_a_palette_with_transparency_is_rgb_as_other_palettes_are(invert: ModuleType) -> None:
    paletted = picture("P")
    paletted.info["transparency"] = bytes(range(256))
    assert np.array_equal(invert.Augment()(paletted), 255 - np.asarray(paletted.convert("RGBA"))[..., :3])


def test_alpha_moves_with_the_image_and_keeps_its_values(invert: ModuleType, flip: ModuleType) -> None:
    image = Image.fromarray(np.dstack([PIXELS, np.tile(np.arange(16, dtype=np.uint8), (12, 1))]))
    inverted, flipped = (np.asarray(module.Augment()(image)) for module in (invert, flip))
    assert np.array_equal(inverted, np.dstack([255 - PIXELS, np.asarray(image)[..., 3]]))
    assert np.array_equal(flipped, np.asarray(image)[:, ::-1])


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_more_than_8_bits_are_refused(every: ModuleType, mode: str) -> None:
    with pytest.raises(ValueError, match=f"a picture of mode '{mode}'; must have 8 bits: scale it first") as caught:
        every.Augment()(Image.new(mode, (8, 8)))
    assert "\n" not in str(caught.value)


# --- tensors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_tensors_keep_their_type_and_give_the_same_pixels(every: ModuleType, kind: torch.dtype, channels: int) -> None:
    images = IMAGE[:channels].expand(40, -1, -1, -1)
    values = images if kind == torch.uint8 else (images.double() / 255).to(kind)
    torch.manual_seed(1)
    expected = torch.stack([every.Augment()(image) for image in images])
    torch.manual_seed(1)
    together = every.Augment()(values)
    assert together.dtype == kind
    assert len(torch.unique(together, dim=0)) > 10  # each image draws for itself
    assert torch.equal(together, expected if kind == torch.uint8 else (expected.double() / 255).to(kind))


@given(values=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30))
def test_floats_are_rounded_to_the_nearest_of_256(invert: ModuleType, values: list[float]) -> None:
    floats = torch.tensor(values).view(1, 1, -1)
    assert torch.allclose(invert.Augment()(floats), 1 - torch.round(floats.double() * 255).float() / 255, atol=1e-6)
    assert torch.allclose(invert.Augment()(floats), 1 - floats, atol=0.5 / 255 + 1e-6)


def test_to_tensor_and_back_loses_nothing(invert: ModuleType) -> None:
    with_tensor = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), invert.Augment()])
    assert torch.equal(v2.functional.to_dtype(with_tensor(Image.fromarray(PIXELS)), torch.uint8, scale=True), 255 - IMAGE)


def test_images_and_videos_of_torchvision_keep_their_kind(every: ModuleType) -> None:
    assert isinstance(every.Augment()(tv_tensors.Image(IMAGE)), tv_tensors.Image)
    video = every.Augment()(tv_tensors.Video(IMAGE.expand(2, 5, -1, -1, -1)))
    assert isinstance(video, tv_tensors.Video)
    assert len(torch.unique(video[0], dim=0)) == len(torch.unique(video[1], dim=0)) == 1  # a draw for all frames


def test_all_images_of_a_sample_get_the_same(every: ModuleType) -> None:
    for pair in ((tv_tensors.Image(IMAGE), tv_tensors.Image(IMAGE)), (Image.fromarray(PIXELS), Image.fromarray(PIXELS))):
        for _ in range(20):
            left, right = every.Augment()(*pair)
            assert np.array_equal(np.asarray(left), np.asarray(right))


def test_odd_tensors(invert: ModuleType) -> None:
    turned = IMAGE.expand(4, -1, -1, -1).contiguous(memory_format=torch.channels_last)
    assert torch.equal(invert.Augment()(turned), 255 - turned)
    assert invert.Augment()(IMAGE[None][:0]).shape == (0, 3, 12, 16)
    learned = (IMAGE.float() / 255).requires_grad_()
    assert not invert.Augment()(learned).requires_grad
    assert invert.Augment()(torch.zeros(3, 1, 1, dtype=torch.uint8)).unique().tolist() == [255]


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (IMAGE.long(), "a tensor (3, 12, 16) of torch.int64; must be (..., C, H, W), uint8 or floats from 0 to 1"),
        (IMAGE > 3, "of torch.bool; must be"),
        (IMAGE[0], "a tensor (12, 16) of torch.uint8; must be (..., C, H, W)"),
        (IMAGE.expand(2, 3, 12, 16).flatten(0, 1), "of (12, 16, 6); must have 1 or 3 channels"),
        (IMAGE.float(), "floats from 0 to 255; must be from 0 to 1: augment before Normalize"),
        (IMAGE / 127.5 - 1, "floats from -1 to 1; must be from 0 to 1"),
        (IMAGE / float("nan"), "floats from nan to nan; must be"),
        (PIXELS, "no image among ndarray; must hold a Pillow image or a tensor"),
        ({"label": 3}, "no image among int; must hold"),
        ((Image.fromarray(PIXELS), picture("P")), "pictures of modes P and RGB in one sample"),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(invert: ModuleType, sample: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(words)) as caught:
        invert.Augment()(sample)
    assert "\n" not in str(caught.value)


# --- masks and boxes ----------------------------------------------------------------------------------

MASK = tv_tensors.Mask(torch.arange(192, dtype=torch.uint8).view(1, 12, 16))
BOXES = tv_tensors.BoundingBoxes([[1, 2, 5, 6]], format="XYXY", canvas_size=(12, 16))
POINTS = tv_tensors.KeyPoints([[1, 2]], canvas_size=(12, 16))
ANNOTATIONS = [MASK, tv_tensors.Mask(MASK.expand(5, -1, -1)), BOXES, POINTS, MASK[0].as_subclass(Tensor), MASK[0].numpy()]


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=lambda x: f"{type(x).__name__}{tuple(x.shape)}")
@pytest.mark.parametrize("image", [tv_tensors.Image(IMAGE), Image.fromarray(PIXELS)], ids=["tensor", "picture"])
def test_masks_and_boxes_never_change(invert: ModuleType, flip: ModuleType, image: Any, annotation: Any) -> None:
    sample = {"image": image, "target": {"annotation": annotation, "label": 3}}
    for transform in (invert.Augment(), flip.Augment(allow_unmatched=True)):
        out = transform(sample)
        assert type(out["target"]["annotation"]) is type(annotation)
        assert np.array_equal(np.asarray(out["target"]["annotation"]), np.asarray(annotation))
        assert not np.array_equal(np.asarray(out["image"]), np.asarray(image))
    with pytest.raises(
        TypeError, match=rf"{type(annotation).__name__}.* moves pixels \(HorizontalFlip\).*allow_unmatched=True"
    ):
        flip.Augment()(sample)


def test_what_is_never_drawn_moves_nothing(tmp_path: Path) -> None:
    module = module_of(policy_of("Rotate", probability=0.0, magnitude=1.0), tmp_path)
    assert torch.equal(module.Augment()(tv_tensors.Image(IMAGE), MASK)[1], MASK)


def test_labels_pass(every: ModuleType) -> None:
    image, label, one_hot = every.Augment()(Image.fromarray(PIXELS), 3, torch.eye(10)[3])
    assert (image.size, label, one_hot.argmax()) == ((16, 12), 3, 3)


class Pictures(Dataset[Any]):
    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 8

    def __getitem__(self, i: int) -> Any:
        return self.transform(IMAGE)


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_see_the_epoch_of_a_schedule(tmp_path: Path, persistent: bool) -> None:
    schedule = Schedule((Segment(1, policy_of("Identity")), Segment(1, policy_of("Invert"))))
    transform = module_of(schedule, tmp_path).Augment()
    loader = DataLoader(Pictures(transform), batch_size=4, num_workers=2, persistent_workers=persistent)
    for epoch in (0, 1, 0):
        transform.epoch = epoch
        assert all(torch.equal(image, 255 - IMAGE if epoch else IMAGE) for batch in loader for image in batch)


# --- albumentations -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def albumentations() -> Any:
    return pytest.importorskip("albumentations", reason="albumentations is not installed")


def test_albumentations_takes_bytes_and_floats(albumentations: Any, tmp_path: Path) -> None:
    module = module_of(policy_of("Invert"), tmp_path, "albumentations")
    pipeline = albumentations.Compose([module.Augment()])
    for pixels in (PIXELS, PIXELS[..., :1], PIXELS[..., 0]):
        assert np.array_equal(pipeline(image=pixels)["image"], 255 - pixels)
        floats = (pixels / 255).astype(np.float32)
        assert np.allclose(pipeline(image=floats)["image"], 1 - floats)
    with pytest.raises(ValueError, match="must have 1 or 3 channels"):
        pipeline(image=np.zeros((4, 4, 5), np.uint8))
    with pytest.raises(ValueError, match="floats from 0 to 255; must be from 0 to 1"):
        pipeline(image=np.float32([[[0, 255, 3]]]))


def test_albumentations_refuses_masks_that_would_not_match(albumentations: Any, tmp_path: Path) -> None:
    module = module_of(policy_of("HorizontalFlip", magnitude=1.0), tmp_path, "albumentations")
    mask = PIXELS[..., 0]
    for name in ("mask", "other"):
        strict, allowed = (
            albumentations.Compose([module.Augment(allow_unmatched=allow)], additional_targets={"other": "mask"})
            for allow in (False, True)
        )
        with pytest.raises(TypeError, match=rf"the sample has {name}, and the policy moves pixels \(HorizontalFlip\)"):
            strict(image=PIXELS, **{name: mask})
        out = allowed(image=PIXELS, **{name: mask})
        assert np.array_equal(out["image"], PIXELS[:, ::-1])
        assert np.array_equal(out[name], mask)


def test_albumentations_all_images_of_a_sample_get_the_same(albumentations: Any, tmp_path: Path) -> None:
    module = module_of(policy_of("Invert", "Identity"), tmp_path, "albumentations")
    pipeline = albumentations.Compose([module.Augment()], additional_targets={"right": "image"})
    for _ in range(20):
        out = pipeline(image=PIXELS, right=PIXELS)
        assert np.array_equal(out["image"], out["right"])
