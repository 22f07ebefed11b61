"""Which image gets what: reproducible however the stream is cut, and with the right frequencies."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from augsearch.errors import PolicyError
from augsearch.policy import Draw, Operation, Policy, Schedule, Segment, SubPolicy
from augsearch.policy.augment import Augment
from augsearch.policy.ops import OPS
from augsearch.policy.randomness import philox, uniform


def random_policy(seed: int, draw: Draw) -> Policy:
    rng = np.random.default_rng(seed)
    names = [name for name in OPS if name != "SamplePairing"]
    each = 1 if draw == "count" else 2

    def operation() -> Operation:
        return Operation(str(rng.choice(names)), float(rng.random()), float(rng.random()))

    return Policy(tuple(SubPolicy(tuple(operation() for _ in range(each))) for _ in range(6)), "tuun", draw)


def noise_images(count: int, channels: int = 3, side: int = 8) -> torch.Tensor:
    return torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@given(
    seed=st.integers(0, 2**40),
    draw=st.sampled_from(["batch", "image", "count"]),
    cuts=st.lists(st.integers(0, 70), max_size=4),
    start=st.sampled_from([0, 990, 5000]),
    epoch=st.integers(0, 300),
)
def test_same_pixels_however_the_stream_is_cut(seed: int, draw: Draw, cuts: list[int], start: int, epoch: int) -> None:
    policy, images = random_policy(seed % 1000, draw), noise_images(70)
    whole = Augment(policy, seed=seed, batch_size=16)(images, epoch=epoch, position=start)
    pieces = Augment(policy, seed=seed, batch_size=16)
    bounds = [0, *sorted(cuts), 70]
    pieces(images[:0], epoch=epoch, position=start)  # from here on the images are counted
    cut = torch.cat([pieces(images[a:b], epoch=epoch) for a, b in pairwise(bounds)])
    assert torch.equal(whole, cut)


def test_seed_and_epoch_change_the_pixels() -> None:
    policy, images = random_policy(0, "image"), noise_images(64)
    base = Augment(policy, seed=1)(images, epoch=0)
    assert not torch.equal(base, Augment(policy, seed=2)(images, epoch=0))
    assert not torch.equal(base, Augment(policy, seed=1)(images, epoch=1))


def test_one_sub_policy_for_a_mini_batch_each_operation_for_an_image() -> None:
    policy = Policy((SubPolicy((Operation("Invert", 0.5, 0.0),)), SubPolicy((Operation("Identity", 1.0, 0.0),))))
    images = torch.zeros(40 * 500, 1, 1, 1, dtype=torch.uint8)
    inverted = (Augment(policy, seed=3, batch_size=500)(images) == 255).view(40, 500).double().mean(1)
    chosen = inverted > 0
    assert 8 < int(chosen.sum()) < 32  # Binomial(40, .5): outside with p < 1e-4
    assert torch.all((inverted[chosen] - 0.5).abs() < 0.12)  # five standard deviations


@given(sizes=st.lists(st.integers(1, 40), min_size=2, max_size=12), epoch=st.integers(0, 5))
def test_a_call_is_a_mini_batch_whatever_its_size(sizes: list[int], epoch: int) -> None:
    """As the README has it: `augment(images, epoch=epoch)` for each mini-batch of a loader."""
    policy = Policy(tuple(SubPolicy((Operation("Posterize", 1.0, m / 4),)) for m in range(5)))
    ones = [torch.full((size, 1, 1, 1), 255, dtype=torch.uint8) for size in sizes]
    augment = Augment(policy, seed=1)
    drawn = [augment(images, epoch=epoch) for images in ones]
    assert all(len(out.unique()) == 1 for out in drawn)
    positions = np.cumsum([0, *sizes])
    again = [Augment(policy, seed=1)(x, epoch=epoch, position=int(p)) for x, p in zip(ones, positions)]
    assert all(torch.equal(a, b) for a, b in zip(drawn, again))


def test_calls_draw_different_sub_policies() -> None:
    policy = Policy(tuple(SubPolicy((Operation(name, 1.0, 0.0),)) for name in ("Invert", "Identity")))
    augment, images = Augment(policy, seed=0), torch.zeros(10, 1, 1, 1, dtype=torch.uint8)
    inverted = sum(bool(augment(images).all()) for _ in range(200))
    assert 60 < inverted < 140  # a fair coin: five standard deviations


def test_sample_pairing_mixes_within_the_call() -> None:
    policy = Policy((SubPolicy((Operation("SamplePairing", 1.0, 1.0),)),))
    augment = Augment(policy)
    for size in (3, 200):
        images = torch.full((size, 1, 2, 2), size, dtype=torch.uint8)
        assert torch.equal(augment(images), images)
    ramp = torch.arange(200, dtype=torch.uint8).view(200, 1, 1, 1)
    assert len((augment(ramp).int() - ramp.int()).unique()) > 20


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_size_below_one_is_refused(size: int) -> None:
    with pytest.raises(PolicyError, match=f"batch_size: {size}; must be at least 1"):
        Augment(random_policy(0, "batch"), batch_size=size)


def test_images_of_another_type_are_refused_whatever_is_drawn() -> None:
    never = Policy((SubPolicy((Operation("Invert", 0.0, 0.0),)),))
    with pytest.raises(PolicyError, match=r"images: \(2, 3, 4, 4\) torch.float32; must be \(B, C, H, W\) uint8"):
        Augment(never)(torch.rand(2, 3, 4, 4))


def test_signs_go_both_ways_unless_the_released_code_is_asked_for() -> None:
    policy = Policy((SubPolicy((Operation("Rotate", 1.0, 1.0),)),))
    image = torch.zeros(1, 1, 9, 9, dtype=torch.uint8)
    image[0, 0, 4, 8] = 255
    turned = Augment(policy, seed=0)(image.expand(200, -1, -1, -1))
    up = turned[:, 0, :4].flatten(1).max(1).values > 200
    assert 60 < int(up.sum()) < 140
    one_sided = Augment(policy, seed=0, one_sided_rotate=True)(image.expand(200, -1, -1, -1))
    assert len(torch.unique(one_sided, dim=0)) == 1


def test_count_draw_has_the_papers_frequencies() -> None:
    """Always accepted operations: 0, 1 or 2 of them with p = .2, .3, .5 (PBA, section 3.2)."""
    operations = ("TranslateX", "TranslateY")
    policy = Policy(tuple(SubPolicy((Operation(name, 1.0, 1.0),)) for name in operations), "pba", "count")
    plan = Augment(policy, seed=0)._plan(policy, 20_000, 0, 0, 0)
    counts = np.bincount((plan.operation >= 0).sum(1), minlength=3) / 20_000
    assert np.abs(counts - [0.2, 0.3, 0.5]).max() < 0.02
    first = plan.operation[(plan.operation >= 0).sum(1) == 1, 0]
    assert abs(first.mean() - 0.5) < 0.03  # either is as likely to come first


def test_schedule_follows_the_epoch() -> None:
    keep, invert = (Policy((SubPolicy((Operation(name, 1.0, 0.0),)),)) for name in ("Identity", "Invert"))
    augment = Augment(Schedule((Segment(1, keep), Segment(1, invert))))
    images = noise_images(4)
    assert torch.equal(augment(images, epoch=0), images)
    assert torch.equal(augment(images, epoch=1), 255 - images)


class Collate:
    """What a user's `collate_fn` does: stack, then augment."""

    def __init__(self, augment: Augment) -> None:
        self.augment = augment

    def __call__(self, images: list[torch.Tensor]) -> torch.Tensor:
        return self.augment(torch.stack(images))


def epochs_of(augment: Augment, *, persistent: bool, seed: int = 3) -> list[bytes]:
    """The batches of two epochs of one image again and again, by two workers."""
    torch.manual_seed(seed)
    augment(noise_images(4))  # used before the workers are made
    loader = DataLoader(
        noise_images(1).expand(60, -1, -1, -1),  # type: ignore[arg-type]  # a tensor is a data set
        batch_size=10,
        num_workers=2,
        persistent_workers=persistent,
        collate_fn=Collate(augment),
    )
    return [batch.numpy().tobytes() for _ in range(2) for batch in loader]


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("batch_size", [None, 10])
def test_workers_and_epochs_differ_and_repeat(persistent: bool, batch_size: int | None) -> None:
    policy = Policy(tuple(SubPolicy((Operation("Rotate", 0.9, m / 20),)) for m in range(1, 20)), draw="image")
    batches = epochs_of(Augment(policy, batch_size=batch_size), persistent=persistent)
    assert len(set(batches)) == 12
    assert epochs_of(Augment(policy, batch_size=batch_size), persistent=persistent) == batches
    assert not set(epochs_of(Augment(policy, seed=1, batch_size=batch_size), persistent=persistent)) & set(batches)


def test_a_copy_in_another_process_knows_no_policy_by_its_old_address() -> None:
    augment, images = Augment(random_policy(0, "image")), noise_images(8)
    expected = augment(images, position=0)
    other = pickle.loads(pickle.dumps(augment))
    assert not other._tables and not other._blocks
    assert torch.equal(other(images, position=0), expected)


def test_a_position_that_is_given_decides_in_workers_too() -> None:
    class At(Collate):
        def __call__(self, images: list[torch.Tensor]) -> torch.Tensor:
            return self.augment(torch.stack(images), position=70)

    augment, images = Augment(random_policy(2, "image"), seed=4), noise_images(20)
    loader = DataLoader(images, batch_size=10, num_workers=2, collate_fn=At(augment))  # type: ignore[arg-type]
    expected = [augment(batch, position=70) for batch in images.split(10)]
    assert all(torch.equal(a, b) for a, b in zip(loader, expected))


def test_policies_one_after_the_other() -> None:
    invert = Policy((SubPolicy((Operation("Invert", 1.0, 0.0),)),))
    images = noise_images(4)
    assert torch.equal(Augment([invert, invert])(images), images)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0] * 4, (0, 0), ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]),
        ([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF), ["408f276d", "41c83b0e", "a20bc7c6", "6d5451fd"]),
    ],
)
def test_philox_known_answers(counter: list[int], key: tuple[int, int], words: list[str]) -> None:
    """Known answers of the authors' Random123 library, philox4x32-10."""
    assert [f"{int(word):08x}" for word in philox(np.array(counter, np.uint64), key)] == words


def test_uniform_is_uniform_in_every_word() -> None:
    draws = uniform(7, 1, 2, np.arange(40_000))
    assert draws.min() >= 0
    assert draws.max() < 1
    for word in draws.T:
        assert np.abs(np.histogram(word, 20, (0, 1))[0] / 2000 - 1).max() < 0.12


@given(
    seed=st.integers(0, 2**40),
    batches=st.lists(st.integers(0, 4), max_size=3),
    draw=st.sampled_from(["batch", "image"]),
)
def test_sample_pairing_however_the_stream_is_cut_between_mini_batches(seed: int, batches: list[int], draw: Draw) -> None:
    policy = Policy((SubPolicy((Operation("SamplePairing", 0.7, 0.9), Operation("Invert", 0.5, 0.0))),), "tuun", draw)
    images = noise_images(70)
    whole = Augment(policy, seed=seed, batch_size=16)(images)
    pieces = Augment(policy, seed=seed, batch_size=16)
    bounds = [0, *sorted(16 * k for k in batches), 70]
    assert torch.equal(whole, torch.cat([pieces(images[a:b]) for a, b in pairwise(bounds)]))


def test_sample_pairing_from_a_pool_however_cut() -> None:
    policy = Policy((SubPolicy((Operation("SamplePairing", 1.0, 1.0),)),))
    images, pool = torch.zeros(60, 1, 4, 4, dtype=torch.uint8), torch.full((3, 1, 4, 4), 200, dtype=torch.uint8)
    pool[0] = 100
    out = Augment(policy, pool=pool)(images)
    assert out.unique().tolist() == [40, 80]  # 0.4 of a partner, both kinds of which were drawn
    pieces = Augment(policy, pool=pool)
    assert torch.equal(out, torch.cat([pieces(images[a:b]) for a, b in pairwise([0, 1, 30, 60])]))
    with pytest.raises(PolicyError, match="pool: .* must be"):
        Augment(policy, pool=pool.float())


def test_sample_pairing_takes_partners_of_the_mini_batch() -> None:
    """Each mini-batch is of one value: no pixel changes unless a partner comes from another."""
    images = torch.arange(4, dtype=torch.uint8).repeat_interleave(8).mul(60).view(32, 1, 1, 1)
    policy = Policy((SubPolicy((Operation("SamplePairing", 1.0, 1.0),)),))
    assert torch.equal(Augment(policy, batch_size=8)(images), images)
    assert not torch.equal(Augment(policy, batch_size=32)(images), images)
