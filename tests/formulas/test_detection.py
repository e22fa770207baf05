"""Work of detection: overlaps of pairs of boxes, and bilinear samples of regions."""

from __future__ import annotations

import pytest
from checks.calls import Case, call, check, f32

# Intersection over union, written out: min and max of both corners, two sides, each at least zero, and their product;
# the sum of both areas less that, the quotient, and its comparison with the threshold.
OVERLAP = 4 + 2 + 2 + 1 + 2 + 1 + 1
# One point between four: He et al., "Mask R-CNN" (2017), section 3. Twice 4 + 2 multiply-accumulates, as in bilinear
# upsampling, and an addition to the average.
SAMPLE = 2 * (4 + 2) + 1

R, C, H, W = 5, 4, 16, 24  # regions, channels, and the size of the image
IMAGE, REGIONS, OUT = f32(1, C, H, W), f32(R, 5), f32(R, C, 7, 7)
BINS = R * C * 7 * 7


def align(name: str, ratio: int, *out: object) -> object:
    return call(f"torchvision.{name}", IMAGE, REGIONS, 0.5, 7, 7, ratio, out=out or OUT)


CASES: dict[str, Case] = {
    "suppression: each pair once": (
        call("torchvision.nms", f32(6, 4), f32(6), 0.5, out=f32(3)),
        0,
        (5 + 4 + 3 + 2 + 1) * OVERLAP,
    ),
    "suppression of one box": (call("torchvision.nms", f32(1, 4), f32(1), 0.5, out=f32(1)), 0, 0),
    "suppression of none": (call("torchvision.nms", f32(0, 4), f32(0), 0.5, out=f32(0)), 0, 0),
    "aligned": (align("roi_align", 3), 0, BINS * 3 * 3 * SAMPLE),
    "aligned, as many samples as fit": (align("roi_align", -1), 0, BINS * 2 * 2 * SAMPLE),
    "aligned, no samples named": (align("roi_align", 0), 0, BINS * 2 * 2 * SAMPLE),
    "aligned, by position": (align("ps_roi_align", 2, OUT, OUT), 0, BINS * 2 * 2 * SAMPLE),
    "pooled: every element of the image once": (
        call("torchvision.roi_pool", IMAGE, REGIONS, 0.5, 7, 7, out=(OUT, OUT)),
        0,
        C * H * W,
    ),
    "pooled, more bins than the image has elements": (
        call("torchvision.ps_roi_pool", f32(1, C, 4, 4), REGIONS, 0.5, 7, 7, out=(OUT, OUT)),
        0,
        BINS,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)
