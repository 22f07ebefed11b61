"""The operations: what each does to a batch of 8-bit images, exactly as Pillow does it to one.

    apply(images, "Rotate", torch.tensor([0.5, -0.5]))      # +15 and -15 degrees

Images are (B, C, H, W) uint8 on any device. Everything that depends on a magnitude alone (matrices, tables,
window sizes) is computed on the host in float64, as Pillow does, and only then sent to the device; what
touches pixels is integer arithmetic, or float arithmetic of Pillow's own width, one rounding at a time. The
result is therefore the same integers on a CPU and on a GPU.

The same name means different things in different projects, so a magnitude always has a dialect: `table.py` holds every
operation with its formula in each of them, and the table in docs/operations.md is made from it. Where a dialect lacks an
operation (Cutout outside PBA, say), the formula is this project's own choice.

Channels: Color and Contrast need a luminance. It is the channel itself for one channel, Pillow's `L` for
three, and the rounded mean of the channels for any other number; Color on one channel is thus the identity.

Source of the arithmetic: Pillow's ImageOps, ImageEnhance and Geometry.
"""

from augsearch.policy.ops.op import CONVENTIONS, DIALECTS, Call, Convention, Dialect, Floats, Op, Run
from augsearch.policy.ops.run import apply, check_images
from augsearch.policy.ops.table import OPS, PBA_OPERATIONS, find

__all__ = [
    "CONVENTIONS",
    "DIALECTS",
    "OPS",
    "PBA_OPERATIONS",
    "Call",
    "Convention",
    "Dialect",
    "Floats",
    "Op",
    "Run",
    "apply",
    "check_images",
    "find",
]
