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

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augsearch.errors import PolicyError

Dialect = Literal["tuun", "pba", "torchvision"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
Floats = NDArray[np.float64]

# Pixels that an operation works on at a time: 128 images of 32 x 32 RGB.
_PIECE_BYTES = 128 * 32 * 32 * 3
# glibc returns freed blocks of some MiB to the system, and to get them back, page by page, costs more than the
# arithmetic in them. It keeps them once a block just below its own limit of 32 MiB was freed (mallopt(3),
# M_MMAP_THRESHOLD); this one is never touched, so it takes no memory.
torch.empty(31 << 20, dtype=torch.uint8)

# (125, 122, 113) is CIFAR-10's mean colour, which PBA writes out for its Cutout.
_FILL: dict[str, tuple[int, ...]] = {"tuun": (128,), "pba": (125, 122, 113), "torchvision": (0,)}


@dataclass(frozen=True)
class Call:
    """What an operation needs to know besides the images and the magnitudes."""

    dialect: Dialect
    fill: Tensor  # (C,) uint8, on the images' device
    noise: Floats  # (B, 2) in [0, 1): where a window lies
    partners: Tensor | None  # (B, C, H, W) uint8 for operations that are `paired`

    def part(self, rows: slice) -> Call:
        """The same for some of the images."""
        return replace(self, noise=self.noise[rows], partners=None if self.partners is None else self.partners[rows])


Run = Callable[[Tensor, Floats, Call], Tensor]


@dataclass(frozen=True)
class Op:
    """One operation: its name, what it does, and what its magnitude means for drawing and searching.

    `run(images, magnitude, call)` takes (B, C, H, W) uint8 and (B,) float64 and gives (B, C, H, W) uint8.
    `signed` lists the dialects that flip the magnitude's sign at random; `magnitude` says whether it has one;
    `paired` says that it mixes in other images, `call.partners`.
    """

    name: str
    run: Run
    magnitude: bool = True
    signed: tuple[Dialect, ...] = ()
    paired: bool = False


def apply(
    images: Tensor,
    name: str,
    magnitude: Tensor | Floats | float,
    *,
    dialect: Dialect = "tuun",
    noise: Floats | None = None,
    fill: int | tuple[int, ...] | None = None,
    partners: Tensor | None = None,
) -> Tensor:
    """Apply one operation to every image of a batch, each with its own magnitude.

    Args:
        images: (B, C, H, W) uint8, any device, any C, H, W >= 1.
        name: a key of `OPS`, or an operation of your own (see `find`).
        magnitude: (B,) or one number, in the dialect's own unit; for signed operations its sign is the direction.
        dialect: "tuun", "pba" or "torchvision".
        noise: (B, 2) in [0, 1), the place of a window (RandomCrop's offset, Cutout's centre: vertical,
            horizontal); the middle when absent. Other operations ignore it.
        fill: colour outside the frame, one value or one for each channel; the dialect's when absent.
        partners: (B, C, H, W) uint8, the image that SamplePairing mixes into each; when absent, the one before
            it in the batch (the last for the first).

    Returns:
        (B, C, H, W) uint8, a new tensor (or `images` itself where nothing changes).

    Raises:
        PolicyError: unknown name or dialect, or arguments of the wrong shape or type.
    """
    if images.ndim != 4 or images.dtype != torch.uint8 or 0 in images.shape[1:]:
        raise PolicyError(f"images: {tuple(images.shape)} {images.dtype}; must be (B, C, H, W) uint8, C, H, W >= 1")
    op = find(name)
    if dialect not in DIALECTS:
        raise PolicyError(f"dialect {dialect!r}: unknown; there are {', '.join(DIALECTS)}")
    count = len(images)
    if count == 0:
        return images
    values = magnitude.detach().cpu().numpy() if isinstance(magnitude, Tensor) else np.asarray(magnitude)
    if values.shape not in ((), (count,)):
        raise PolicyError(f"{name}: magnitude of shape {values.shape}; must be one number or ({count},)")
    values = np.full(count, values, np.float64)
    if not np.isfinite(values).all():
        raise PolicyError(f"{name}: magnitude {values[~np.isfinite(values)][0]}; must be a finite number")
    where = np.full((count, 2), 0.5) if noise is None else np.asarray(noise, np.float64)
    if op.paired and partners is None:
        partners = images.roll(1, 0)
    call = Call(dialect, _fill_colour(fill, dialect, images), where, partners)
    return _in_pieces(op, images.contiguous(), values, call)


def _in_pieces(op: Op, images: Tensor, values: Floats, call: Call) -> Tensor:
    """Run an operation on a few images at a time, so that a CPU's cache holds all that it works on."""
    count = len(images)
    size = count if images.device.type != "cpu" else max(1, _PIECE_BYTES // images[0].numel())
    if count <= size:
        return op.run(images, values, call)
    pieces = [slice(start, start + size) for start in range(0, count, size)]
    return torch.cat([op.run(images[piece], values[piece], call.part(piece)) for piece in pieces])


def _fill_colour(fill: int | tuple[int, ...] | None, dialect: Dialect, images: Tensor) -> Tensor:
    channels = images.shape[1]
    values = _FILL[dialect] if fill is None else (fill,) if isinstance(fill, int) else tuple(fill)
    if len(values) != channels:
        values = (sum(values) // len(values),) * channels
    return torch.tensor(values, dtype=torch.uint8, device=images.device)


# --- geometry -------------------------------------------------------------------------------------------


def _choose(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """`torch.where` for uint8, by bits: much faster on a CPU. mask: bool, broadcast to both."""
    return no ^ ((yes ^ no) & mask.view(torch.uint8).neg())


def _framed(images: Tensor, fill: Tensor, rows: int, columns: int) -> Tensor:
    """The images with `rows` above and below and `columns` left and right of the fill colour."""
    count, channels, height, width = images.shape
    out = fill[None, :, None, None].expand(count, channels, height + 2 * rows, width + 2 * columns).contiguous()
    out[:, :, rows : rows + height, columns : columns + width] = images
    return out


def _affine_nearest(images: Tensor, matrix: Floats, fill: Tensor) -> Tensor:
    """Pillow's `transform(AFFINE, NEAREST)`: 16.16 fixed point (Geometry.c, affine_fixed).

    matrix: (B, 6) float64, output to input. In 32 bits, as Pillow has it, unless a place lies beyond them.
    """
    count, channels, height, width = images.shape
    half = matrix.copy()
    half[:, 2] += matrix[:, 0] * 0.5 + matrix[:, 1] * 0.5
    half[:, 5] += matrix[:, 3] * 0.5 + matrix[:, 4] * 0.5
    bits = torch.int32 if np.abs(half).max() * (1 + height + width) < 1 << 15 else torch.int64
    fixed = torch.from_numpy(np.floor(half * 65536.0 + 0.5)).to(images.device, bits)
    a = fixed[:, :, None, None]  # (B, 6, 1, 1)
    x = torch.arange(width, device=images.device, dtype=bits)[None, None, :]
    y = torch.arange(height, device=images.device, dtype=bits)[None, :, None]
    # 1 is added and what lies outside is clamped: such places fall on a frame of one pixel.
    x_in = ((a[:, 0] * x + a[:, 2]) + a[:, 1] * y >> 16).add_(1).clamp_(0, width + 1)  # (B, H, W)
    y_in = ((a[:, 3] * x + a[:, 5]) + a[:, 4] * y >> 16).add_(1).clamp_(0, height + 1)
    places = y_in.mul_(width + 2).add_(x_in).long().view(count, 1, -1).expand(-1, channels, -1)
    framed = _framed(images, fill, 1, 1).view(count, channels, -1)
    return framed.gather(2, places).view(images.shape)


def _rows(images: Tensor, places: Tensor) -> Tensor:
    """Whole rows by their places. images: (B, C, H, W); places: (B, H') int64 into H -> (B, C, H', W)."""
    count, channels, height, width = images.shape
    first = torch.arange(0, count * channels * height, height, device=images.device).view(count, channels, 1)
    index = (first + places[:, None, :]).view(-1)
    return images.reshape(-1, width).index_select(0, index).view(count, channels, -1, width)


def _translate(images: Tensor, pixels: Floats, axis: int, fill: Tensor) -> Tensor:
    """Pillow's `transform(AFFINE, (1, 0, x, 0, 1, y), NEAREST)`, which takes its scaling path (ScaleAffine).

    That path adds 1 to a float64 again and again, so the sum is accumulated here too. axis: 2 or 3.
    """
    side = images.shape[axis]
    steps = np.ones((len(pixels), side))
    steps[:, 0] = pixels + 0.5
    # 1 is added and what lies outside is clamped: such places fall on a frame of one pixel.
    places = np.clip(np.floor(np.cumsum(steps, axis=1)) + 1, 0, side + 1).astype(np.int64)
    index = torch.from_numpy(places).to(images.device)
    if axis == 2:
        return _rows(_framed(images, fill, 1, 0), index)
    return _framed(images, fill, 0, 1).gather(3, index[:, None, None, :].expand(images.shape))


def _shear_bicubic(images: Tensor, factor: Floats, axis: int, fill: Tensor) -> Tensor:
    """Pillow's `transform(AFFINE, BICUBIC)` for a shear: four taps along one axis, in float64, truncated.

    The other coordinate falls on pixel centres, where the kernel (a = -1) is 1 at the pixel and 0 beside it.
    """
    if axis == 2:
        return _shear_bicubic(images.transpose(2, 3).contiguous(), factor, 3, fill).transpose(2, 3).contiguous()
    height, width = images.shape[2:]
    device = images.device
    x = torch.arange(width, device=device, dtype=torch.float64)
    y = torch.arange(height, device=device, dtype=torch.float64) + 0.5
    f = torch.from_numpy(factor).to(device)
    x_in = (x + 0.5)[None, None, :] + f[:, None, None] * y[None, :, None]  # (B, H, W)
    inside = (x_in >= 0) & (x_in < width)
    x_in -= 0.5
    # A row moves by a whole number of pixels and a fraction d of one. Rounding may lift d from just below 1 to 1,
    # where Pillow would start from the next pixel with d = 0: both give that pixel itself.
    shift = x_in[..., 0].floor()  # (B, H)
    d = (x_in - x - shift[..., None])[:, None]  # (B, 1, H, W)
    v1, v2, v3, v4 = _four_taps(images, shift.clamp(-width - 1, width + 1).long())
    p2, down, right = v3 - v1, v1 - v2, v3 - v4  # whole numbers, exact in 16 bits
    p3 = 2 * down + right
    p4 = down.add_(right).neg_()
    value = p4.double().mul_(d).add_(p3).mul_(d).add_(p2).mul_(d).add_(v2)
    return _choose(inside[:, None], _as_bytes(value), fill[None, :, None, None])


def _four_taps(images: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The pixels at x + shift - 1, ... + 2, four int16 views (B, C, H, W); beyond its ends a row repeats them.

    shift: (B, H) int64, at most W + 1 either way. Whole runs of W + 3 pixels are copied out of an overlapping
    view of all rows, which is much faster than gathering pixels.
    """
    count, channels, height, width = images.shape
    pad = width + 4
    rows = torch.cat([images[..., :1].expand(-1, -1, -1, pad), images, images[..., -1:].expand(-1, -1, -1, pad)], 3)
    length = width + 2 * pad
    runs = rows.as_strided((rows.numel() - width - 2, width + 3), (1, 1))
    first = torch.arange(0, rows.numel(), length, device=images.device).view(count, channels, height)
    index = (first + shift[:, None, :] + (pad - 1)).view(-1)
    run = runs.index_select(0, index).view(count, channels, height, width + 3).short()
    v1, v2, v3, v4 = (run[..., tap : tap + width] for tap in range(4))
    return v1, v2, v3, v4


def _as_bytes(values: Tensor) -> Tensor:
    """Floats, in place: clipped to 0..255 and truncated, as uint8. By way of int32, which CPUs convert faster."""
    return values.clamp_(0, 255).to(torch.int32).to(torch.uint8)


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
    angle, which = np.unique(-np.radians(degrees % 360.0), return_inverse=True)
    # Pillow rounds with Python's round(), which is decimal-exact; numpy's is not.
    cos = np.array([round(math.cos(v), 15) for v in angle])[which]
    sin = np.array([round(math.sin(v), 15) for v in angle])[which]
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


# --- colour -------------------------------------------------------------------------------------------


def _blend(degenerate: Tensor, images: Tensor, factor: Floats) -> Tensor:
    """Pillow's `Image.blend` (Blend.c): float32, clipped, truncated. degenerate: broadcast to images, (B, C, H, W)."""
    f = torch.from_numpy(factor.astype(np.float32)).to(images.device).view(-1, 1, 1, 1)
    base = degenerate.float()
    return _as_bytes(images.float().sub_(base).mul_(f).add_(base))


def _enhancement(m: Floats, dialect: Dialect) -> Floats:
    """The factor that Pillow's ImageEnhance gets: 1 leaves the image as it is."""
    return {"tuun": 1 + 0.9 * m, "pba": m * 1.8 / 10 + 0.1, "torchvision": 1 + m}[dialect]


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
    black = torch.zeros(1, 1, 1, 1, device=images.device)
    return _blend(black, images, _enhancement(m, call.dialect))


def _contrast(images: Tensor, m: Floats, call: Call) -> Tensor:
    area = images.shape[2] * images.shape[3]
    total = _luminance(images).sum((1, 2, 3), dtype=torch.int64)
    mean = (2 * total + area) // (2 * area)  # int(mean + .5), without a float
    return _blend(mean.view(-1, 1, 1, 1), images, _enhancement(m, call.dialect))


def _color(images: Tensor, m: Floats, call: Call) -> Tensor:
    return _blend(_luminance(images), images, _enhancement(m, call.dialect))


def _sharpness(images: Tensor, m: Floats, call: Call) -> Tensor:
    return _blend(_smooth(images), images, _enhancement(m, call.dialect))


def _smooth(images: Tensor) -> Tensor:
    """Pillow's `filter(SMOOTH)`, as float32: (1 1 1, 1 5 1, 1 1 1) / 13, rounded; the outermost pixels are copied.

    A thirteenth is never nearer than 1/26 to half a grey level, so float32 rounds it as Pillow does.
    """
    height, width = images.shape[2:]
    out = images.float()
    if height < 3 or width < 3:
        return out
    whole = images.short()
    rows = whole[:, :, :-2] + whole[:, :, 1:-1] + whole[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * whole[:, :, 1:-1, 1:-1]
    out[:, :, 1:-1, 1:-1] = total.float().mul_(1 / 13).add_(0.5).floor_()
    return out


def _posterize(images: Tensor, m: Floats, call: Call) -> Tensor:
    bits = {"tuun": np.round(8 - 4 * m), "pba": 4 - np.trunc(m * 4 / 10), "torchvision": np.trunc(m)}[call.dialect]
    mask = 256 - 2 ** (8 - np.clip(bits, 0, 8).astype(np.int64))
    return images & torch.from_numpy(mask.astype(np.uint8)).to(images.device).view(-1, 1, 1, 1)


def _solarize(images: Tensor, m: Floats, call: Call) -> Tensor:
    threshold = {"tuun": 256 - 256 * m, "pba": 256 - np.trunc(m * 256 / 10), "torchvision": 255.0 * m}[call.dialect]
    first = np.clip(np.ceil(threshold), 0, 256)
    lowest = torch.from_numpy(np.minimum(first, 255).astype(np.uint8)).to(images.device).view(-1, 1, 1, 1)
    ever = torch.from_numpy(np.where(first > 255, 0, 255).astype(np.uint8)).to(images.device).view(-1, 1, 1, 1)
    reached = images.maximum(lowest) == images
    return images ^ (reached.view(torch.uint8) * ever)  # v ^ 255 = 255 - v


def _invert(images: Tensor, m: Floats, call: Call) -> Tensor:
    return 255 - images


def _autocontrast(images: Tensor, m: Floats, call: Call) -> Tensor:
    """Pillow's `autocontrast`: each channel's darkest value to 0, its brightest to 255, in float64, truncated."""
    planes = images.flatten(2)
    low, high = (values[..., None, None].double() for values in (planes.amin(2), planes.amax(2)))  # (B, C, 1, 1)
    flat = high <= low  # left as they are: v * 1 + 0
    span = (high - low).masked_fill_(flat, 255.0)
    scale = torch.full_like(span, 255.0) / span  # a scalar numerator would be rounded twice
    offset = (-low * scale).masked_fill_(flat, 0.0)
    return _as_bytes(images.double().mul_(scale).add_(offset))


def _equalize(images: Tensor, m: Floats, call: Call) -> Tensor:
    """Pillow's `equalize`: a table for each channel, from its histogram without the brightest value that occurs."""
    rows = images.flatten(0, 1).flatten(1)  # (B * C, H * W)
    counts = _histogram(rows)
    brightest = counts.gather(1, rows.amax(1, keepdim=True).long())
    step = (rows.shape[1] - brightest) // 255  # (B * C, 1)
    before = counts.cumsum(1, dtype=torch.int32) - counts
    # A quotient of whole numbers below 2 ** 53 never rounds up to the next one.
    table = (before + step // 2).double().div_(step.clamp(min=1)).clamp_(max=255).to(torch.int32)
    ramp = torch.arange(256, device=images.device, dtype=torch.int32)
    table += (step == 0) * (ramp - table)  # too few pixels for a step: left as they are
    return table.to(torch.uint8).gather(1, rows.long()).view(images.shape)


def _histogram(rows: Tensor) -> Tensor:
    """rows: (N, L) uint8 -> (N, 256) int32."""
    start = torch.arange(0, 256 * len(rows), 256, dtype=torch.int32, device=rows.device)[:, None]
    return torch.bincount((rows + start).view(-1), minlength=256 * len(rows)).view(-1, 256).int()


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
    return _choose(hole, call.fill[None, :, None, None], images)


def _random_crop(images: Tensor, m: Floats, call: Call) -> Tensor:
    height, width = images.shape[2:]
    if call.dialect != "tuun":
        return _crop_filled(images, call)
    rows, columns = (_resized_window(side, m, call.noise[:, axis]) for axis, side in enumerate((height, width)))
    # Pillow resizes the width first, then the height, rounding after each.
    upright = _resample(images.transpose(2, 3).contiguous(), *columns)
    return _resample(upright.transpose(2, 3).contiguous(), *rows)


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


@cache
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


def _resample(images: Tensor, places: NDArray[np.int64], weights: NDArray[np.int64]) -> Tensor:
    """Weighted sums of up to three rows; places, weights: (B, H, 3). Enlarging needs two of them."""
    total = torch.full((1, 1, 1, 1), 1 << 21, dtype=torch.int32, device=images.device)
    for tap in np.flatnonzero(weights.any((0, 1))):
        at = torch.from_numpy(places[:, :, tap]).to(images.device)
        weight = torch.from_numpy(weights[:, :, tap].astype(np.int32)).to(images.device)
        total = _rows(images, at).int().mul_(weight[:, None, :, None]).add_(total)
    return total.bitwise_right_shift_(22).to(torch.uint8)  # weights sum to 2 ** 22 within 2, so never above 255


def _sample_pairing(images: Tensor, m: Floats, call: Call) -> Tensor:
    """Mix each image with its partner."""
    weight = {"tuun": 0.4 * m, "pba": 0.04 * m, "torchvision": m}[call.dialect]
    assert call.partners is not None, "apply() gives partners to operations that are paired"
    return _blend(images, call.partners, weight)


def _along(run: Callable[[Tensor, Floats, Call, int], Tensor], axis: int) -> Run:
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
        Op("SamplePairing", _sample_pairing, paired=True),
    )
}
"""Every built-in operation by its name, as torchvision spells it."""

PBA_OPERATIONS: tuple[str, ...] = (
    "Rotate", "TranslateX", "TranslateY", "Brightness", "Color", "Invert", "Sharpness", "Posterize", "ShearX", "Solarize",
    "ShearY", "Equalize", "AutoContrast", "Cutout", "Contrast",
)  # fmt: skip
"""In the order of PBA's parameter vectors."""


def find(name: str) -> Op:
    """The operation of a name: a key of `OPS`, or an import path, "my_module:thing", to one of your own.

    The thing is an `Op`, or any function (images, magnitude) -> images of (B, C, H, W) uint8 and (B,) float64 on
    the images' device. Its module is imported, which runs it: load policies only from people you trust with that.

    Raises:
        PolicyError: no such operation, or one that cannot be imported.
    """
    if name in OPS:
        return OPS[name]
    if ":" in name:
        return _imported(name)
    raise PolicyError(f"operation: {name!r} is unknown; there are {', '.join(OPS)}, or your own as module:name")


@cache
def _imported(name: str) -> Op:
    module, _, attribute = name.partition(":")
    try:
        thing = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise PolicyError(f"operation: {name!r} cannot be imported ({error})") from None
    if isinstance(thing, Op):
        return replace(thing, name=name, run=_checked(name, thing.run))
    if callable(thing):
        return Op(name, _checked(name, lambda images, m, call: thing(images, torch.tensor(m, device=images.device))))
    raise PolicyError(f"operation: {name!r} is a {type(thing).__name__}; must be an augsearch.policy.ops.Op or a function")


def _checked(name: str, run: Run) -> Run:
    """The same, refusing a result of another shape or type than the images."""

    def checked(images: Tensor, m: Floats, call: Call) -> Tensor:
        out = run(images, m, call)
        if not isinstance(out, Tensor) or out.shape != images.shape or out.dtype != torch.uint8:
            got = f"{tuple(out.shape)} {out.dtype}" if isinstance(out, Tensor) else type(out).__name__
            raise PolicyError(f"operation: {name!r} gave {got}; must give {tuple(images.shape)} torch.uint8")
        return out

    return checked
