"""Memory figures that a notebook kept of its own run, beside those of the rerun."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from section import code, findings_of, view_of

from grader.checks.memory import FillMemory, LargestTensors, OutOfMemory
from grader.checks.memory_printed import MOST_FIGURES
from grader.checks.view import Card, Ran
from grader.evidence import MemoryPrinted, as_data, from_data
from grader.sandbox.protocol import DeviceLog, DtypeUse

CARD = Card(name="Tesla T4", exact=True, usable_bytes=1000, profile="1.12", named="Tesla T4")
CUDA = "x = torch.zeros(n, device='cuda')"
LOG = DeviceLog(
    allocated_before=0, reserved_before=0, allocated_after=0, reserved_after=0,
    peak_allocated=990, peak_reserved=990, fits_before=1000, refusal_count=1,
    by_dtype={"float32": DtypeUse(largest_bytes=990, allocations=1)},
)  # fmt: skip


def evidence_of(*cells, question=None):
    found = findings_of(question or OutOfMemory(), view_of(*cells, device="virtual", card=CARD))
    return [
        item
        for finding in found.values()
        for item in finding.evidence
        if isinstance(item, MemoryPrinted)
    ]


def compared(printed, rerun, source=CUDA, **more):
    """Return the figures of one cell as (printed, rerun, same)."""
    found = evidence_of(code(source, printed=printed, output=rerun, device=LOG, **more))
    return [(f.shown, f.text, f.same) for item in found for f in item.figures]


@pytest.mark.parametrize(
    "question", [LargestTensors(), OutOfMemory(), FillMemory()], ids=lambda q: type(q).__name__
)
def test_every_memory_task_shows_them_once_and_as_data(question):
    cell = code(CUDA, printed="allocated: 4096", output="allocated: 4096\n", device=LOG)
    (found,) = evidence_of(cell, question=question)
    assert (found.card, found.profile, found.named) == ("Tesla T4", "1.12", "Tesla T4")
    assert (found.equal, found.different) == (1, 0)
    assert from_data(as_data(found)) == found


def test_equal_and_different_figures_are_told_apart():
    assert compared("allocated: 4096\nreserved: 2097152", "allocated: 4096\nreserved: 0\n") == [
        ("allocated: 4096", "allocated: 4096", True),
        ("reserved: 2097152", "reserved: 0", False),
    ]


def test_they_cost_no_points():
    def outcomes(printed):
        cell = code(CUDA, printed=printed, output="allocated: 4096\n", device=LOG)
        found = findings_of(FillMemory(), view_of(cell, device="virtual", card=CARD))
        return {name: (finding.outcome, finding.code) for name, finding in found.items()}

    assert outcomes("allocated: 4096") == outcomes("allocated: 1") == outcomes("")


def test_what_a_notebook_did_not_keep_is_not_compared():
    assert compared("", "allocated: 4096\n") == []
    assert compared("loss: 0.31", "allocated: 4096\n") == []
    assert compared("RuntimeError: ignored", "", error="OutOfMemoryError: 2.00 GiB") == []


def test_lines_meet_by_their_words_whatever_stands_between():
    printed = "epoch 1\nallocated: 1\nreserved: 2"
    assert compared(printed, "allocated: 1\nmax allocated: 7\nreserved: 2\n") == [
        ("allocated: 1", "allocated: 1", True),
        ("reserved: 2", "reserved: 2", True),
    ]
    assert compared(printed, "")[0] == ("allocated: 1", "", False)


def test_an_error_text_is_compared_by_its_sizes():
    printed = (
        "RuntimeError: CUDA out of memory. Tried to allocate 28.31 GiB (GPU 0; 14.76 GiB total"
    )
    error = "OutOfMemoryError: CUDA out of memory. Tried to allocate {} (GPU 0; 14.76 GiB total"
    (same,) = compared(printed, "", error=error.format("28.31 GiB"))
    (other,) = compared(printed, "", error=error.format("2.31 GiB"))
    assert (same[2], other[2]) == (True, False)


def test_only_sizes_of_a_line_with_sizes_count():
    smi = "| N/A   {}C    P0    27W /  70W |    612MiB / 15109MiB |      0%      Default |"
    assert compared(smi.format(47), smi.format(51))[0][2]
    later = "total_memory=15109MB, uuid=0, L2_cache_size=4MB"
    assert compared("total_memory=15109MB", later)[0][2]


def test_bare_numbers_count_where_the_cell_asks_for_memory():
    assert compared("4096", "4096\n", "torch.cuda.memory_allocated()") == [("4096", "4096", True)]
    assert compared("(0, 4096)", "(0, 512)\n", "a, torch.cuda.memory_allocated()")[0][2] is False
    assert compared("4096", "4096\n", "len(x)") == []


def test_a_cell_that_did_not_run_again_has_nothing_beside():
    cell = code(CUDA, printed="allocated: 1", output="allocated: 1\n", device=LOG)
    view = view_of(cell, cell, device="virtual", card=CARD)
    view = replace(view, ran=(Ran(cell=view.ran[0].cell, done=None), view.ran[1]))
    found = findings_of(OutOfMemory(), view)["out-of-memory"].evidence[-1]
    assert [figure.same for figure in found.figures] == [False, True]


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=60))
def test_many_lines_are_counted_and_the_first_shown(sizes):
    text = "\n".join(f"allocated: {size}" for size in sizes)
    (found,) = evidence_of(code(CUDA, printed=text, output=text, device=LOG))
    assert (found.equal, found.different) == (len(sizes), 0)
    assert len(found.figures) == min(len(sizes), MOST_FIGURES)


@given(printed=st.text(max_size=200), rerun=st.text(max_size=200))
def test_any_text_is_compared_without_error(printed, rerun):
    for shown, _, _ in compared(f"{printed}\nallocated: 1", rerun):
        assert len(shown) <= 400
