"""Work of Fourier transforms: ``5 n log2 n`` for n complex numbers, half of it for n real ones.

Van Loan, "Computational Frameworks for the Fast Fourier Transform" (1992), section 1.4.
"""

from __future__ import annotations

from math import log2

import pytest
from checks.calls import Case, c64, call, check, f32

B = 3

CASES: dict[str, Case] = {
    "complex": (call("_fft_c2c", c64(B, 16), (1,), 0, True, out=c64(B, 16)), 0, B * 5 * 16 * 4),
    "complex, in two dimensions": (
        call("_fft_c2c", c64(B, 8, 16), (1, 2), 0, True, out=c64(B, 8, 16)),
        0,
        # A transform of 8 for each of 16 columns, and one of 16 for each of 8 rows.
        B * (16 * 5 * 8 * 3 + 8 * 5 * 16 * 4),
    ),
    "along the first dimension": (call("_fft_c2c", c64(8, 5), (0,), 0, True, out=c64(8, 5)), 0, 5 * 5 * 8 * 3),
    "dimensions from behind": (call("_fft_c2c", c64(8, 5), (-2,), 0, False, out=c64(8, 5)), 0, 5 * 5 * 8 * 3),
    "not a power of two": (call("_fft_c2c", c64(12), (0,), 0, True, out=c64(12)), 0, round(5 * 12 * log2(12))),
    "of real numbers": (call("_fft_r2c", f32(B, 16), (1,), 0, True, out=c64(B, 9)), 0, B * 5 * 16 * 4 // 2),
    "to real numbers": (call("_fft_c2r", c64(B, 9), (1,), 0, 16, out=f32(B, 16)), 0, B * 5 * 16 * 4 // 2),
    "of length one": (call("_fft_c2c", c64(B, 1), (1,), 0, True, out=c64(B, 1)), 0, 0),
    "empty batch": (call("_fft_c2c", c64(0, 16), (1,), 0, True, out=c64(0, 16)), 0, 0),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)
