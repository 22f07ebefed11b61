"""The operations against Pillow: zero difference, for every operation, dialect, magnitude and size."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from augsearch.errors import PolicyError
from augsearch.policy.ops import DIALECTS, OPS, apply
from augsearch.policy.ops.markdown import dialect_table
from tests.pillow_reference import reference

RANGES = {
    "pba": dict.fromkeys(OPS, 10.0),
    "tuun": dict.fromkeys(OPS, 1.0),
    "torchvision": {
        **dict.fromkeys(OPS, 0.99),
        "TranslateX": 32.0,
        "TranslateY": 32.0,
        "Rotate": 135.0,
        "Posterize": 8.0,
        "Solarize": 1.0,
        "Cutout": 40.0,
    },
}
COMPARED = [name for name in OPS if name != "SamplePairing"]


def draw_images(rng: np.random.Generator, count: int, channels: int, height: int, width: int) -> np.ndarray:
    """Noise, ramps, few levels, constant images: what histograms and blends trip over."""
    shape = (channels, height, width)
    images = rng.integers(0, 256, (count, *shape))
    for i in range(count):
        kind = rng.integers(5)
        if kind == 1:
            images[i] = np.linspace(rng.integers(256), rng.integers(256), images[i].size).reshape(shape)
        elif kind == 2:
            images[i] = rng.choice(rng.integers(0, 256, 3), shape)
        elif kind == 3:
            images[i] = rng.integers(256)
        elif kind == 4:
            images[i] = np.clip(rng.normal(rng.integers(256), 12, shape), 0, 255)
    return images.astype(np.uint8)


def draw_magnitudes(rng: np.random.Generator, name: str, dialect: str, count: int) -> np.ndarray:
    top = RANGES[dialect][name]
    if dialect == "pba":
        m = rng.integers(0, 11, count).astype(float)
    else:
        # the ends, round tenths (where a magnitude meets a rounding rule) and anything between
        kinds = rng.integers(3, size=count)
        tenths = rng.integers(0, 11, count) / 10
        m = top * np.choose(kinds, [rng.integers(0, 2, count), tenths, rng.random(count)])
    return m * (rng.choice([-1, 1], count) if dialect in OPS[name].signed else 1)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", COMPARED)
def test_equals_pillow(name: str, dialect: str) -> None:
    """18 operations x 3 dialects x 8 shapes x 48 images: 20,736 drawn cases, no pixel differs."""
    rng = np.random.default_rng([COMPARED.index(name), DIALECTS.index(dialect)])
    for shape in range(8):
        channels = int(rng.choice([1, 3]))
        height, width = (32, 32) if shape == 0 else rng.integers(1, 49, 2)
        if shape == 1:
            height = width  # squares turn by quarters
        pixels = draw_images(rng, 48, channels, int(height), int(width))
        magnitude = draw_magnitudes(rng, name, dialect, len(pixels))
        noise = rng.random((len(pixels), 2))
        got = apply(torch.from_numpy(pixels), name, torch.from_numpy(magnitude), dialect=dialect, noise=noise).numpy()
        for i, image in enumerate(pixels):
            wanted = reference(image, name, float(magnitude[i]), dialect, tuple(noise[i]))
            worst = np.abs(got[i].astype(int) - wanted).max()
            assert worst == 0, f"{name} {dialect} m={magnitude[i]!r} shape={image.shape}: differs by {worst}"


@given(
    name=st.sampled_from(COMPARED),
    dialect=st.sampled_from(DIALECTS),
    part=st.floats(0, 1),
    sign=st.sampled_from([-1, 1]),
    shape=st.tuples(st.sampled_from([1, 3]), st.integers(1, 70), st.integers(1, 70)),
    seed=st.integers(0, 2**32 - 1),
)
@example("TranslateX", "tuun", 0.4999999999999999 * 331 / 150, -1, (1, 2, 64), 0)  # accumulated ones round across .5
@example("TranslateY", "tuun", 3.4999999999999996 / 33 * 331 / 150, -1, (1, 33, 2), 0)
@example("ShearX", "tuun", 2 / 7 / 0.3, -1, (3, 16, 16), 0)  # rows that move by just less than a whole pixel
@example("Solarize", "tuun", 0.0, 1, (1, 16, 16), 0)  # a threshold of 256
def test_equals_pillow_for_any_magnitude_and_size(
    name: str, dialect: str, part: float, sign: int, shape: tuple[int, int, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pixels, noise = draw_images(rng, 1, *shape), rng.random((1, 2))
    m = part * RANGES[dialect][name] * (sign if dialect in OPS[name].signed else 1)
    got = apply(torch.from_numpy(pixels), name, m, dialect=dialect, noise=noise)[0].numpy()
    assert np.array_equal(got, reference(pixels[0], name, m, dialect, tuple(noise[0])))


def test_large_batches_go_through_in_pieces() -> None:
    rng = np.random.default_rng(0)
    pixels, noise = torch.from_numpy(draw_images(rng, 300, 3, 32, 32)), rng.random((300, 2))
    m = rng.random(300)
    for name in OPS:
        whole = apply(pixels, name, m, noise=noise, partners=pixels.flip(0))
        alone = apply(pixels[250:251], name, m[250:251], noise=noise[250:251], partners=pixels[49:50])
        assert torch.equal(whole[250:251], alone), name


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_channels_and_tiny_images(name: str, dialect: str, channels: int) -> None:
    rng = np.random.default_rng(channels)
    for height, width in [(1, 1), (1, 7), (2, 3), (9, 5)]:
        pixels = torch.from_numpy(draw_images(rng, 4, channels, height, width))
        before = pixels.clone()
        out = apply(pixels, name, draw_magnitudes(rng, name, dialect, 4), dialect=dialect)
        assert out.shape == pixels.shape and out.dtype == torch.uint8
        assert torch.equal(pixels, before), "the input was changed in place"


def test_sample_pairing_mixes_with_the_neighbour() -> None:
    pixels = torch.tensor([0, 200], dtype=torch.uint8).view(2, 1, 1, 1)
    out = apply(pixels, "SamplePairing", 1.0)
    assert out.flatten().tolist() == [80, 120]


def test_the_documentation_has_the_table_of_the_code() -> None:
    page = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()
    assert dialect_table() in page, f"docs/operations.md must hold this table:\n{dialect_table()}"


@pytest.mark.parametrize(
    ("images", "name", "magnitude", "words"),
    [
        (torch.zeros(2, 3, 4), "Rotate", 0.1, "must be \\(B, C, H, W\\) uint8"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "rotate", 0.1, "operation: 'rotate' is unknown"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "Rotate", float("nan"), "magnitude nan"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "Rotate", torch.zeros(3), "magnitude of shape \\(3,\\); must be"),
    ],
)
def test_says_what_is_wrong(images: torch.Tensor, name: str, magnitude: float | torch.Tensor, words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        apply(images, name, magnitude)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is at hand")
def test_same_integers_on_a_gpu() -> None:
    rng = np.random.default_rng(7)
    for name, dialect in itertools.product(OPS, DIALECTS):
        for channels, height, width in ((3, 32, 32), (1, 28, 28), (4, 7, 19)):
            pixels, noise = torch.from_numpy(draw_images(rng, 300, channels, height, width)), rng.random((300, 2))
            m = draw_magnitudes(rng, name, dialect, 300)
            on_cpu = apply(pixels, name, m, dialect=dialect, noise=noise)
            on_gpu = apply(pixels.cuda(), name, m, dialect=dialect, noise=noise).cpu()
            assert torch.equal(on_cpu, on_gpu), (name, dialect)
