"""The judge's side of the sealed account; the native side is in `tests/vgpu/test_account.py`."""

import msgspec
import pytest

from grader.sandbox.account import KEY_BYTES, MOST_BYTES, NotGenuine, read_account, siphash
from grader.sandbox.audit import Audit
from grader.sandbox.protocol import DeviceLog, DtypeUse

KEY = bytes(range(KEY_BYTES))
PUBLISHED = """
310e0edd47db6f72 fd67dc93c539f874 5a4fa9d909806c0d 2d7efbd796666785 b7877127e09427cf
8da699cd64557618 cee3fe586e46c9cb 37d1018bf50002ab 6224939a79f5f593 b0e4a90bdf82009e
f3b9dd94c5bb5d7a a7ad6b22462fb3f4 fbe50e86bc8f1e75 903d84c02756ea14 eef27a8e90ca23f7
e545be4961ca29a1
"""
"""SipHash-2-4 of 00, 01, 02, ..., by length from 0: `vectors.h` of the authors' reference code."""


def test_the_seal_is_siphash_as_published():
    for length, seal in enumerate(PUBLISHED.split()):
        assert siphash(KEY, bytes(range(length))).to_bytes(8, "little").hex() == seal


@pytest.mark.parametrize("length", [0, 7, 8, 111, 112, 113, 183, 184, 185, MOST_BYTES + 8])
def test_bytes_of_any_length_without_a_seal_are_no_account(length):
    with pytest.raises(NotGenuine):
        read_account(bytes(length), KEY)


def test_a_log_with_anything_at_all_in_it_is_a_contradiction_and_no_error():
    log = DeviceLog(
        allocated_before=-1, reserved_before=-1, allocated_after=-1, reserved_after=-1,
        peak_allocated=-1, peak_reserved=1 << 63, fits_before=-5,
        by_dtype={"\x1b" * 9000: DtypeUse(allocations=-3)}, refusal_count=-1,
    )  # fmt: skip
    audit = Audit(KEY, "Tesla T4")
    assert "without its sealed account" in audit.find_contradiction(log, 1)
    assert audit.find_contradiction(None, 1) is None
    log = msgspec.structs.replace(log, account=b"x" * 112)
    assert "not genuine" in audit.find_contradiction(log, 1)
