"""The operations: what each does to a batch of 8-bit images, exactly as Pillow does it to one.

    apply(images, "Rotate", torch.tensor([0.5, -0.5]))      # +15 and -15 degrees

Images are (B, C, H, W) uint8 on any device. Everything that depends on a magnitude alone (matrices, tables,
window sizes) is computed on the host in float64, as Pillow does, and only then sent to the device; what
touches pixels is integer arithmetic, or float arithmetic of Pillow's own width, one rounding at a time. The
result is therefore the same integers on a CPU and on a GPU.

The same name means different things in different projects, so a magnitude always has a dialect:

=============  ======================  =========================  ===============================
.              tuun                    pba                        torchvision
=============  ======================  =========================  ===============================
unit           real, 0..1              level, 0..9                the bin's value
Shear          0.3 m, bicubic          0.03 level                 m
Translate      150/331 m of the side   level px                   int(m) px
Rotate         30 m degrees            int(3 level) degrees       m degrees
Color etc.     1 + 0.9 m               0.1 + 0.18 level           1 + m
Posterize      round(8 - 4 m) bits     4 - int(0.4 level) bits    int(m) bits
Solarize       from 256 - 256 m        from 256 - int(25.6 level) from 255 m
Cutout         int(20/32 m side) px    int(2 level) px            int(m) px
SamplePairing  weight 0.4 m            weight 0.04 level          weight m
RandomCrop     reflect-pad 1/8, crop   pad 1/8 with the fill,     pad 1/8 with the fill,
.              (28 + 4 m)/32, resize   crop the full size         crop the full size
fill           128                     the data set's mean        0
=============  ======================  =========================  ===============================

Where a dialect lacks an operation (Cutout outside PBA, say), the row above is this project's own choice.

Channels: Color and Contrast need a luminance. It is the channel itself for one channel, Pillow's `L` for
three, and the rounded mean of the channels for any other number; Color on one channel is thus the identity.

Sources: petuum/tuun (examples/nni_data_augmentation), arcelien/pba (pba/augmentation_transforms.py),
torchvision.transforms.v2, and Pillow's ImageOps, ImageEnhance and Geometry for the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augsearch.errors import PolicyError

Dialect = Literal["tuun", "pba", "torchvision"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
Floats = NDArray[np.float64]

# (125, 122, 113) is CIFAR-10's mean colour, which PBA writes out for its Cutout.
_FILL: dict[str, tuple[int, ...]] = {"tuun": (128,), "pba": (125, 122, 113), "torchvision": (0,)}


@dataclass(frozen=True)
class Call:
    """What an operation needs to know besides the images and the magnitudes."""

    dialect: Dialect
    fill: Tensor  # (C,) uint8, on the images' device
    noise: Floats  # (B, 2) in [0, 1): where a window lies


@dataclass(frozen=True)
class Op:
    """One operation: its name, what it does, and what its magnitude means for drawing and searching.

    `run(images, magnitude, call)` takes (B, C, H, W) uint8 and (B,) float64 and gives (B, C, H, W) uint8.
    `signed` lists the dialects that flip the magnitude's sign at random; `magnitude` says whether it has one.
    """

    name: str
    run: Callable[[Tensor, Floats, Call], Tensor]
    magnitude: bool = True
    signed: tuple[Dialect, ...] = ()


def apply(
    images: Tensor,
    name: str,
    magnitude: Tensor | Floats | float,
    *,
    dialect: Dialect = "tuun",
    noise: Floats | None = None,
    fill: int | tuple[int, ...] | None = None,
) -> Tensor:
    """Apply one operation to every image of a batch, each with its own magnitude.

    Args:
        images: (B, C, H, W) uint8, any device, any C, H, W >= 1.
        name: a key of `OPS`.
        magnitude: (B,) or one number, in the dialect's own unit; for signed operations its sign is the direction.
        dialect: "tuun", "pba" or "torchvision".
        noise: (B, 2) in [0, 1), the place of a window (RandomCrop's offset, Cutout's centre: vertical,
            horizontal); the middle when absent. Other operations ignore it.
        fill: colour outside the frame, one value or one for each channel; the dialect's when absent.

    Returns:
        (B, C, H, W) uint8, a new tensor (or `images` itself where nothing changes).

    Raises:
        PolicyError: unknown name or dialect, or arguments of the wrong shape or type.
    """
    if images.ndim != 4 or images.dtype != torch.uint8 or 0 in images.shape[1:]:
        raise PolicyError(f"images: {tuple(images.shape)} {images.dtype}; must be (B, C, H, W) uint8, C, H, W >= 1")
    if name not in OPS:
        raise PolicyError(f"operation {name!r}: unknown; there are {', '.join(OPS)}")
    if dialect not in DIALECTS:
        raise PolicyError(f"dialect {dialect!r}: unknown; there are {', '.join(DIALECTS)}")
    count = len(images)
    if count == 0:
        return images
    values = magnitude.detach().cpu().numpy() if isinstance(magnitude, Tensor) else np.asarray(magnitude)
    values = np.broadcast_to(values.astype(np.float64), (count,))
    if not np.isfinite(values).all():
        raise PolicyError(f"{name}: magnitude {values[~np.isfinite(values)][0]}; must be a finite number")
    where = np.full((count, 2), 0.5) if noise is None else np.asarray(noise, np.float64)
    call = Call(dialect, _fill_colour(fill, dialect, images), where)
    return OPS[name].run(images, values, call)


def _fill_colour(fill: int | tuple[int, ...] | None, dialect: Dialect, images: Tensor) -> Tensor:
    channels = images.shape[1]
    values = _FILL[dialect] if fill is None else (fill,) if isinstance(fill, int) else tuple(fill)
    if len(values) != channels:
        values = (sum(values) // len(values),) * channels
    return torch.tensor(values, dtype=torch.uint8, device=images.device)


# --- geometry -------------------------------------------------------------------------------------------


def _affine_nearest(images: Tensor, matrix: Floats, fill: Tensor) -> Tensor:
    """Pillow's `transform(AFFINE, NEAREST)`: 16.16 fixed point (Geometry.c, affine_fixed).

    matrix: (B, 6) float64, output to input.
    """
    half = matrix.copy()
    half[:, 2] += matrix[:, 0] * 0.5 + matrix[:, 1] * 0.5
    half[:, 5] += matrix[:, 3] * 0.5 + matrix[:, 4] * 0.5
    fixed = torch.from_numpy(np.floor(half * 65536.0 + 0.5).astype(np.int64)).to(images.device)
    a = fixed[:, :, None, None]  # (B, 6, 1, 1)
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device)[None, None, :]
    y = torch.arange(height, device=images.device)[None, :, None]
    x_in = (a[:, 2] + a[:, 0] * x + a[:, 1] * y) >> 16  # (B, H, W)
    y_in = (a[:, 5] + a[:, 3] * x + a[:, 4] * y) >> 16
    inside = (x_in >= 0) & (x_in < width) & (y_in >= 0) & (y_in < height)
    index = torch.where(inside, y_in * width + x_in, 0)
    return _pick(images, index, inside, fill)


def _pick(images: Tensor, index: Tensor, inside: Tensor, fill: Tensor) -> Tensor:
    """Pixels by their place: index (B, H, W) into H * W, the fill colour where not inside."""
    count, channels = images.shape[:2]
    places = index.view(count, 1, -1).expand(-1, channels, -1)
    picked = images.reshape(count, channels, -1).gather(2, places).view(images.shape)
    return torch.where(inside[:, None], picked, fill[None, :, None, None])


def _translate(images: Tensor, pixels: Floats, axis: int, fill: Tensor) -> Tensor:
    """Pillow's `transform(AFFINE, (1, 0, x, 0, 1, y), NEAREST)`, which takes its scaling path (ScaleAffine).

    That path adds 1 to a float64 again and again, so the sum is accumulated here too. axis: 2 or 3.
    """
    side = images.shape[axis]
    steps = np.ones((len(pixels), side))
    steps[:, 0] = pixels + 0.5
    places = np.cumsum(steps, axis=1)
    inside = (places >= 0) & (places < side)
    index = torch.from_numpy(np.where(inside, places, 0).astype(np.int64)).to(images.device)
    valid = torch.from_numpy(inside).to(images.device)
    shape = (len(images), 1, 1, side) if axis == 3 else (len(images), 1, side, 1)
    picked = images.gather(axis, index.view(shape).expand(images.shape))
    return torch.where(valid.view(shape), picked, fill[None, :, None, None])


def _shear_bicubic(images: Tensor, factor: Floats, axis: int, fill: Tensor) -> Tensor:
    """Pillow's `transform(AFFINE, BICUBIC)` for a shear: four taps along one axis, in float64, truncated.

    The other coordinate falls on pixel centres, where the kernel (a = -1) is 1 at the pixel and 0 beside it.
    """
    if axis == 2:
        return _shear_bicubic(images.transpose(2, 3), factor, 3, fill).transpose(2, 3).contiguous()
    height, width = images.shape[2:]
    device = images.device
    x = torch.arange(width, device=device, dtype=torch.float64) + 0.5
    y = torch.arange(height, device=device, dtype=torch.float64) + 0.5
    f = torch.from_numpy(factor).to(device)
    x_in = x[None, None, :] + f[:, None, None] * y[None, :, None]  # (B, H, W)
    inside = (x_in >= 0) & (x_in < width)
    x_in = x_in - 0.5
    left = x_in.floor()
    d = (x_in - left)[:, None]  # (B, 1, H, W)
    column = left.long()[:, None].expand(images.shape)
    v1, v2, v3, v4 = (images.gather(3, (column + tap).clamp(0, width - 1)).double() for tap in (-1, 0, 1, 2))
    p2 = v3 - v1
    p3 = 2 * (v1 - v2) + v3 - v4
    p4 = v2 - v1 - v3 + v4
    value = v2 + d * (p2 + d * (p3 + d * p4))
    return torch.where(inside[:, None], value.clamp(0, 255).to(torch.uint8), fill[None, :, None, None])


def _shear(images: Tensor, m: Floats, call: Call, axis: int) -> Tensor:
    if call.dialect == "tuun":
        return _shear_bicubic(images, m * 0.3, axis, call.fill)
    # torchvision passes degrees(atan(m)) through its affine(), which takes the tangent again.
    factor = m * 0.3 / 10 if call.dialect == "pba" else np.tan(np.radians(np.degrees(np.arctan(m))))
    matrix = np.tile([1.0, 0, 0, 0, 1, 0], (len(m), 1))
    matrix[:, 1 if axis == 3 else 3] = factor
    return _affine_nearest(images, matrix, call.fill)


def _translate_by(images: Tensor, m: Floats, call: Call, axis: int) -> Tensor:
    if call.dialect == "tuun":
        pixels = m * (150 / 331) * images.shape[axis]
    elif call.dialect == "pba":
        pixels = np.trunc(m * 10 / 10)
    else:
        pixels = -np.trunc(m)  # torchvision moves the image, the other two the window
    return _translate(images, pixels, axis, call.fill)


def _rotate(images: Tensor, m: Floats, call: Call) -> Tensor:
    """Pillow's `rotate(degrees)`: about the centre, counter-clockwise, nearest."""
    degrees = {"tuun": m * 30, "pba": np.trunc(m * 30 / 10), "torchvision": m}[call.dialect]
    height, width = images.shape[2:]
    angle = -np.radians(degrees % 360.0)
    # Pillow rounds with Python's round(), which is decimal-exact; numpy's is not.
    cos = np.array([round(math.cos(v), 15) for v in angle])
    sin = np.array([round(math.sin(v), 15) for v in angle])
    cx, cy = width / 2, height / 2
    x0 = cos * -cx + sin * -cy + cx
    y0 = -sin * -cx + cos * -cy + cy
    rotated = _affine_nearest(images, np.stack([cos, sin, x0, -sin, cos, y0], 1), call.fill)
    return _quarter_turns(images, rotated, degrees % 360.0)


def _quarter_turns(images: Tensor, rotated: Tensor, degrees: Floats) -> Tensor:
    """Pillow turns by whole quarters (a half for oblong images) by moving pixels, not by the affine path."""
    square = images.shape[2] == images.shape[3]
    for turns in (0, 1, 2, 3):
        hit = np.flatnonzero(degrees == 90.0 * turns)
        if len(hit) and (square or turns % 2 == 0):
            at = torch.from_numpy(hit).to(images.device)
            rotated[at] = torch.rot90(images[at], turns, (2, 3))
    return rotated


def _flip(images: Tensor, m: Floats, call: Call) -> Tensor:
    return images.flip(3)


def _identity(images: Tensor, m: Floats, call: Call) -> Tensor:
    return images


# --- pointwise: one 256-entry table for each image (and channel) --------------------------------------------


def _look_up(images: Tensor, tables: Tensor) -> Tensor:
    """tables: (B, 1 or C, 256) uint8."""
    count, channels = images.shape[:2]
    flat = tables.expand(count, channels, 256).reshape(count * channels, 256)
    return flat.gather(1, images.reshape(count * channels, -1).long()).view(images.shape)


def _blend(degenerate: Tensor, images: Tensor, factor: Floats) -> Tensor:
    """Pillow's `Image.blend` (Blend.c): float32, clipped, truncated. degenerate, images: (B, ...)."""
    f = torch.from_numpy(factor.astype(np.float32)).to(images.device).view(-1, *[1] * (images.ndim - 1))
    base = degenerate.float()
    return (base + f * (images.float() - base)).clamp_(0, 255).to(torch.uint8)


def _enhancement(m: Floats, dialect: Dialect) -> Floats:
    """The factor that Pillow's ImageEnhance gets: 1 leaves the image as it is."""
    return {"tuun": 1 + 0.9 * m, "pba": m * 1.8 / 10 + 0.1, "torchvision": 1 + m}[dialect]


def _ramp(images: Tensor) -> Tensor:
    return torch.arange(256, device=images.device)[None, None, :].expand(len(images), 1, 256)


def _luminance(images: Tensor) -> Tensor:
    """(B, 1, H, W) int32. Pillow's `convert("L")` for three channels (Convert.c, L24)."""
    channels = images.shape[1]
    if channels == 1:
        return images.int()
    if channels == 3:
        r, g, b = images.int().unbind(1)
        return ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16)[:, None]
    return (2 * images.sum(1, keepdim=True, dtype=torch.int32) + channels) // (2 * channels)


def _brightness(images: Tensor, m: Floats, call: Call) -> Tensor:
    ramp = _ramp(images)
    return _look_up(images, _blend(torch.zeros_like(ramp), ramp, _enhancement(m, call.dialect)))


def _contrast(images: Tensor, m: Floats, call: Call) -> Tensor:
    area = images.shape[2] * images.shape[3]
    total = _luminance(images).sum((1, 2, 3), dtype=torch.int64)
    mean = ((2 * total + area) // (2 * area)).view(-1, 1, 1)  # int(mean + .5), without a float
    ramp = _ramp(images)
    return _look_up(images, _blend(mean.expand_as(ramp), ramp, _enhancement(m, call.dialect)))


def _color(images: Tensor, m: Floats, call: Call) -> Tensor:
    return _blend(_luminance(images), images, _enhancement(m, call.dialect))


def _sharpness(images: Tensor, m: Floats, call: Call) -> Tensor:
    return _blend(_smooth(images), images, _enhancement(m, call.dialect))


def _smooth(images: Tensor) -> Tensor:
    """Pillow's `filter(SMOOTH)`: (1 1 1, 1 5 1, 1 1 1) / 13, rounded; the outermost pixels are copied.

    A thirteenth is never half a grey level, so integers round as Pillow's float32 does.
    """
    height, width = images.shape[2:]
    if height < 3 or width < 3:
        return images
    whole = images.int()
    rows = whole[:, :, :-2] + whole[:, :, 1:-1] + whole[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * whole[:, :, 1:-1, 1:-1]
    out = images.clone()
    out[:, :, 1:-1, 1:-1] = ((2 * total + 13) // 26).to(torch.uint8)
    return out


def _posterize(images: Tensor, m: Floats, call: Call) -> Tensor:
    bits = {"tuun": np.round(8 - 4 * m), "pba": 4 - np.trunc(m * 4 / 10), "torchvision": np.trunc(m)}[call.dialect]
    mask = 256 - 2 ** (8 - np.clip(bits, 0, 8).astype(np.int64))
    return images & torch.from_numpy(mask.astype(np.uint8)).to(images.device).view(-1, 1, 1, 1)


def _solarize(images: Tensor, m: Floats, call: Call) -> Tensor:
    threshold = {"tuun": 256 - 256 * m, "pba": 256 - np.trunc(m * 256 / 10), "torchvision": 255.0 * m}[call.dialect]
    first = torch.from_numpy(np.clip(np.ceil(threshold), 0, 256).astype(np.int16)).to(images.device).view(-1, 1, 1, 1)
    return torch.where(images >= first, 255 - images, images)


def _invert(images: Tensor, m: Floats, call: Call) -> Tensor:
    return 255 - images


def _histogram(images: Tensor) -> Tensor:
    """(B * C, 256) int64."""
    rows = images.reshape(images.shape[0] * images.shape[1], -1).long()
    start = torch.arange(len(rows), device=images.device)[:, None] * 256
    return torch.bincount((rows + start).view(-1), minlength=256 * len(rows)).view(-1, 256)


def _autocontrast(images: Tensor, m: Floats, call: Call) -> Tensor:
    present = _histogram(images) > 0
    low = present.int().argmax(1)
    high = 255 - present.flip(1).int().argmax(1)
    span = (high - low).clamp(min=1).double()
    scale = torch.full_like(span, 255.0) / span  # a scalar numerator would be rounded twice
    ramp = torch.arange(256, device=images.device, dtype=torch.float64)
    table = ramp * scale[:, None] + (-low.double() * scale)[:, None]
    table = table.trunc().clamp(0, 255)
    table = torch.where((high > low)[:, None], table, ramp).to(torch.uint8)
    return _look_up(images, table.view(*images.shape[:2], 256))


def _equalize(images: Tensor, m: Floats, call: Call) -> Tensor:
    counts = _histogram(images)
    top = 255 - (counts > 0).flip(1).int().argmax(1)
    step = (counts.sum(1) - counts.gather(1, top[:, None])[:, 0]) // 255
    before = counts.cumsum(1) - counts
    ramp = torch.arange(256, device=images.device).expand_as(counts)
    table = ((step // 2)[:, None] + before) // step.clamp(min=1)[:, None]
    table = torch.where((step > 0)[:, None], table.clamp(max=255), ramp).to(torch.uint8)
    return _look_up(images, table.view(*images.shape[:2], 256))


# --- windows ------------------------------------------------------------------------------------------


def _cutout(images: Tensor, m: Floats, call: Call) -> Tensor:
    height, width = images.shape[2:]
    side = {"tuun": m * 20 / 32 * min(height, width), "pba": m * 20 / 10, "torchvision": m}[call.dialect]
    half = np.trunc(side) // 2
    centre = np.floor(call.noise * [height, width])

    def covered(axis: int, length: int) -> Tensor:
        place = np.arange(length)[None, :]
        middle, reach = centre[:, axis, None], half[:, None]
        return torch.from_numpy((place >= middle - reach) & (place < middle + reach)).to(images.device)

    hole = covered(0, height)[:, None, :, None] & covered(1, width)[:, None, None, :]
    return torch.where(hole, call.fill[None, :, None, None], images)


def _random_crop(images: Tensor, m: Floats, call: Call) -> Tensor:
    height, width = images.shape[2:]
    if call.dialect != "tuun":
        return _crop_filled(images, call)
    taps = [_resized_window(side, m, call.noise[:, axis]) for axis, side in enumerate((height, width))]
    # Pillow resizes the width first, then the height, rounding after each.
    return _resample(_resample(images, *taps[1], axis=3), *taps[0], axis=2)


def _crop_filled(images: Tensor, call: Call) -> Tensor:
    """Pad an eighth of the side with the fill, crop the full size (4 of 32; PBA's offsets never reach 8)."""
    out = images
    for axis, side in ((2, images.shape[2]), (3, images.shape[3])):
        pad = round(side / 8)
        places = 2 * pad + (call.dialect == "torchvision")
        offset = np.floor(call.noise[:, axis - 2] * max(places, 1)) - pad
        out = _translate(out, offset, axis, call.fill)
    return out


def _resized_window(side: int, m: Floats, noise: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each output pixel of a cropped, resized row comes from: places and 22-bit weights, (B, side, 3).

    Pillow's bilinear resize (Resample.c, precompute_coeffs) of a window of round((28 + 4 m) / 32 of the side)
    pixels at a random offset in the row, reflect-padded by an eighth.
    """
    pad = round(side / 8)
    window = np.clip(np.round(side * (28 + 4 * m) / 32), 1, side + 2 * pad).astype(np.int64)
    offset = np.floor(noise * (side + 2 * pad - window + 1)).astype(np.int64) - pad
    places = np.zeros((len(m), side, 3), np.int64)
    weights = np.zeros((len(m), side, 3), np.int64)
    for size in np.unique(window):
        hit = window == size
        at, weight = _bilinear(int(size), side)
        places[hit] = at[None] + offset[hit, None, None]
        weights[hit] = weight[None]
    return _reflect(places, side), weights


def _bilinear(size: int, out: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(out, 3) places in 0..size-1 and (out, 3) weights that sum to about 2 ** 22, for size <= out * 4 / 3."""
    scale = size / out
    stretch = max(scale, 1.0)
    places = np.zeros((out, 3), np.int64)
    weights = np.zeros((out, 3))
    for x in range(out):
        centre = (x + 0.5) * scale
        first = max(int(centre - stretch + 0.5), 0)
        last = min(int(centre + stretch + 0.5), size)
        near = np.arange(first, last)
        w = np.maximum(1 - np.abs((near - centre + 0.5) / stretch), 0.0)
        places[x] = np.minimum(first + np.arange(3), size - 1)
        weights[x, : len(near)] = w / w.sum()
    return places, np.trunc(weights * (1 << 22) + 0.5).astype(np.int64)


def _reflect(places: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Places outside a row folded back about its end pixels, which are not repeated."""
    if side == 1:
        return np.zeros_like(places)
    folded = np.abs(places) % (2 * side - 2)
    back: NDArray[np.int64] = np.minimum(folded, 2 * side - 2 - folded)
    return back


def _resample(images: Tensor, places: NDArray[np.int64], weights: NDArray[np.int64], axis: int) -> Tensor:
    """Weighted sums of three pixels along an axis; places, weights: (B, side, 3)."""
    shape = (len(images), 1, 1, -1) if axis == 3 else (len(images), 1, -1, 1)
    total: Tensor | int = 1 << 21
    for tap in range(3):
        at = torch.from_numpy(places[:, :, tap]).to(images.device).view(shape).expand(images.shape)
        weight = torch.from_numpy(weights[:, :, tap].astype(np.int32)).to(images.device).view(shape)
        total = images.gather(axis, at).int() * weight + total
    assert isinstance(total, Tensor)
    return (total >> 22).clamp_(0, 255).to(torch.uint8)


def _sample_pairing(images: Tensor, m: Floats, call: Call) -> Tensor:
    """Mix each image with its neighbour in the batch."""
    weight = {"tuun": 0.4 * m, "pba": 0.04 * m, "torchvision": m}[call.dialect]
    return _blend(images, images.roll(1, 0), weight)


def _along(run: Callable[[Tensor, Floats, Call, int], Tensor], axis: int) -> Callable[[Tensor, Floats, Call], Tensor]:
    return lambda images, m, call: run(images, m, call, axis)


_BOTH_WAYS = DIALECTS
_TWO_SIDED: tuple[Dialect, ...] = ("tuun", "torchvision")  # PBA's 0.1 .. 1.9 already holds both directions

OPS: dict[str, Op] = {
    op.name: op
    for op in (
        Op("ShearX", _along(_shear, 3), signed=_BOTH_WAYS),
        Op("ShearY", _along(_shear, 2), signed=_BOTH_WAYS),
        Op("TranslateX", _along(_translate_by, 3), signed=_BOTH_WAYS),
        Op("TranslateY", _along(_translate_by, 2), signed=_BOTH_WAYS),
        Op("Rotate", _rotate, signed=_BOTH_WAYS),
        Op("Color", _color, signed=_TWO_SIDED),
        Op("Contrast", _contrast, signed=_TWO_SIDED),
        Op("Brightness", _brightness, signed=_TWO_SIDED),
        Op("Sharpness", _sharpness, signed=_TWO_SIDED),
        Op("Posterize", _posterize),
        Op("Solarize", _solarize),
        Op("AutoContrast", _autocontrast, magnitude=False),
        Op("Equalize", _equalize, magnitude=False),
        Op("Invert", _invert, magnitude=False),
        Op("Cutout", _cutout),
        Op("RandomCrop", _random_crop),
        Op("HorizontalFlip", _flip),
        Op("Identity", _identity, magnitude=False),
        Op("SamplePairing", _sample_pairing),
    )
}
"""Every built-in operation by its name, as torchvision spells it."""
