"""Video memory judged from the device's log: the largest tensors, refusals, a full card."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from section import PlainChild, code, findings_of, judged, task_of, text, view_of

from grader.checks.memory import FillMemory, LargestTensors, OutOfMemory
from grader.checks.view import Card
from grader.model import Outcome
from grader.sandbox.protocol import DeviceLog, DeviceRefusal, DtypeUse

USABLE = 15_200_157_696
CARD = Card(
    name="Tesla T4",
    exact=True,
    usable_bytes=USABLE,
    others={"Tesla V100": 16_000_000_000, "Small": 8_000_000_000},
)
LARGEST = LargestTensors()
OOM = OutOfMemory()
FILL = FillMemory()
STATEMENT = text("**Домашнее задание 3:** Поэкспериментируйте с размерами тензоров.")
WIDTHS = {"float32": 4, "float64": 8, "float16": 2, "int32": 4, "int64": 8}
CUDA = "x = torch.zeros(n, device='cuda')"


def log(peak=0, before=0, **more):
    more.setdefault("fits_before", USABLE - before)
    return DeviceLog(
        allocated_before=before, reserved_before=before, allocated_after=before,
        reserved_after=peak, peak_allocated=peak, peak_reserved=peak, **more,
    )  # fmt: skip


def refusal(requested, *, allocated=0, dtype="float32", held=0):
    return DeviceRefusal(
        requested_bytes=requested, dtype=dtype, allocated_bytes=allocated,
        reserved_bytes=allocated, held_dtype_bytes=held,
    )  # fmt: skip


def used(dtype, largest, *, beside=0, refused=0, held=0):
    use = DtypeUse(
        largest_bytes=largest,
        allocations=1 if largest else 0,
        largest_beside_bytes=beside,
        largest_refused_bytes=refused,
        refusals=1 if refused else 0,
    )
    refusals = (refusal(refused, dtype=dtype, held=held),) if refused else ()
    return log(largest + beside, by_dtype={dtype: use}, refusals=refusals,
               refusal_count=len(refusals))  # fmt: skip


def as_judged(question, *cells, child=None, device="virtual", names=()):
    view = view_of(STATEMENT, *cells, child=child, device=device, card=CARD)
    return judged(question, view, *names)


# ------------------------------------------------------------------ the largest tensors


@given(dtype=st.sampled_from(sorted(WIDTHS)), share=st.integers(1, 100))
def test_at_least_95_percent_of_what_fits_passes_and_less_does_not(dtype, share):
    size = USABLE * share // 100
    outcome, _ = as_judged(LARGEST, code(CUDA, device=used(dtype, size)))[dtype]
    near_small_card = 0.95 * 8e9 <= size <= 8e9
    if size * 100 >= 95 * USABLE:
        assert outcome == "passed"
    else:
        assert outcome == ("review" if near_small_card else "failed")


def test_the_true_maximum_is_told_in_elements_and_bytes():
    view = view_of(code(CUDA, device=used("float16", 1000)), device="virtual", card=CARD)
    finding = findings_of(LARGEST, view)["float16"]
    assert finding.code == "memory.far-too-small"
    assert finding.values["most_elements"].replace("\u00a0", "") == str(USABLE // 2)
    assert finding.values["percent"] == "0"
    bars = findings_of(LARGEST, view)["float32"].evidence[0]
    assert ("float16", 1000, USABLE - USABLE % 2) in bars.rows


def test_what_was_allocated_before_the_section_is_allowed_for():
    half = USABLE // 2
    use = {"int64": DtypeUse(largest_bytes=half - 1024, allocations=1)}
    first = code(CUDA, device=log(USABLE - 1024, before=half, by_dtype=use))
    assert as_judged(LARGEST, first)["int64"] == ("passed", "memory.largest")


def test_a_card_of_which_the_notebook_leaves_itself_a_part_is_for_a_person():
    tenth = USABLE // 10
    use = {"int64": DtypeUse(largest_bytes=tenth, allocations=1)}
    filled = code(CUDA, device=log(tenth, by_dtype=use, fits_before=tenth))
    assert as_judged(LARGEST, filled)["int64"] == ("review", "memory.limited")


def test_half_beside_the_previous_tensor_is_told():
    half = USABLE * 49 // 100
    beside = code(CUDA, device=used("float32", half, beside=half - 40_000))
    held = code(CUDA, device=used("int32", half, refused=half + 40_000, held=half))
    assert as_judged(LARGEST, beside)["float32"] == ("failed", "memory.half")
    assert as_judged(LARGEST, held)["int32"] == ("failed", "memory.half")


def test_a_dtype_that_was_never_allocated_is_missing():
    found = as_judged(LARGEST, code(CUDA, device=used("float32", USABLE)))
    assert found["float32"][0] == "passed"
    assert found["float16"] == ("missing", "memory.dtype-missing")


def test_sizes_of_another_card_are_for_a_person():
    small = code(CUDA, device=used("float64", 7_900_000_000))
    larger = code(CUDA, device=used("float64", 0, refused=15_900_000_000))
    for cell in (small, larger):
        assert as_judged(LARGEST, cell)["float64"] == ("review", "memory.other-card")


def test_only_refused_is_told():
    cell = code(CUDA, device=used("int64", 0, refused=90_000_000_000))
    assert as_judged(LARGEST, cell)["int64"] == ("failed", "memory.only-refused")


@given(
    sizes=st.lists(st.integers(1, USABLE), min_size=1, max_size=5),
    order=st.randoms(use_true_random=False),
)
def test_the_order_of_cells_does_not_matter(sizes, order):
    cells = [code(CUDA, device=used("float32", size)) for size in sizes]
    before = as_judged(LARGEST, *cells)["float32"]
    order.shuffle(cells)
    assert as_judged(LARGEST, *cells)["float32"] == before


def compared(ratios, *cells):
    cell = code("ratios = ...", bound=["ratios"], device=used("float32", USABLE))
    return as_judged(LARGEST, cell, *cells, child=PlainChild({"ratios": ratios}))["comparison"]


def test_the_ratios_of_the_handout_are_judged():
    right = {dtype: 4 / width for dtype, width in WIDTHS.items()}
    assert compared(right) == ("passed", "memory.comparison-right")
    assert compared({d: r * 1.01 for d, r in right.items()})[0] == "passed"
    assert compared(list(right.values()))[0] == "passed"
    assert compared({f"torch.{d}": r for d, r in right.items() if d != "float32"})[0] == "passed"
    assert compared({d: 1 / r for d, r in right.items()}) == (
        "review",
        "memory.comparison-turned",
    )
    assert compared(right | {"float16": 4}) == ("failed", "memory.comparison-wrong")
    assert compared({"float64": 0.5}) == ("failed", "memory.comparison-wrong")


def test_a_comparison_in_words_is_for_a_person_and_none_is_missing():
    assert compared({}) == ("missing", "memory.words-missing")
    assert compared({}, text("64-битные вдвое меньше")) == (
        "review",
        "memory.comparison-to-read",
    )


# ------------------------------------------------------------------ out of memory


def test_a_refusal_of_the_device_passes():
    refused = log(USABLE // 2, refusal_count=3, refusals=(refusal(USABLE, allocated=7),))
    cell = code(CUDA, device=refused, output="CUDA out of memory. Tried to allocate\n")
    assert as_judged(OOM, cell)["out-of-memory"] == ("passed", "memory.refused")
    view = view_of(cell, device="virtual", card=CARD)
    evidence = findings_of(OOM, view)["out-of-memory"].evidence[0]
    assert (evidence.requested_bytes, evidence.allocated_bytes) == (USABLE, 7)
    assert evidence.text.startswith("CUDA out of memory")


@pytest.mark.parametrize(
    "cell",
    [
        code("raise ...", error="OutOfMemoryError: CUDA out of memory."),
        code("print('CUDA out of memory')", output="CUDA out of memory\n"),
        code("raise ...", error="RuntimeError: CUDA out of memory.", device=log(512)),
    ],
)
def test_an_exception_raised_by_hand_does_not_count(cell):
    assert as_judged(OOM, cell)["out-of-memory"] == ("failed", "memory.raised-by-hand")


def test_what_was_not_refused_is_told():
    found = as_judged(OOM, code(CUDA, device=log(USABLE // 2)))
    assert found["out-of-memory"] == ("failed", "memory.not-refused")
    host = code("torch.zeros(n)", error="RuntimeError: DefaultCPUAllocator: can't allocate memory")
    assert as_judged(OOM, host)["out-of-memory"] == ("failed", "memory.host-memory")
    stopped = code("while True: ...", device=log(USABLE // 2), outcome="timeout")
    assert as_judged(OOM, stopped)["out-of-memory"] == ("timeout", "memory.cell-ended")
    assert as_judged(OOM)["out-of-memory"] == ("missing", "memory.missing")
    assert as_judged(OOM, code(CUDA, error="NameError: n"))["out-of-memory"][0] == "raised"


def test_a_child_that_ended_is_not_said_to_have_allocated_nothing():
    view = view_of((code(CUDA)[0], None), ended=Outcome.TIMEOUT, ended_cell=1, device="virtual")
    (finding,) = OOM.judge(task_of(OOM), view)
    assert finding.outcome is Outcome.MISSING


# ------------------------------------------------------------------ a full card


@given(peak=st.integers(0, USABLE), linear=st.booleans(), refused=st.booleans())
def test_a_full_card_and_an_applied_layer_pass(peak, linear, refused):
    cell = code(
        CUDA,
        device=log(
            peak,
            linear_calls=int(linear),
            refusal_count=int(refused),
            refusals=(refusal(USABLE),) if refused else (),
        ),
    )
    found = as_judged(FILL, cell)
    assert (found["fills"][0] == "passed") == (peak >= 0.9 * USABLE)
    assert (found["forward"][0] == "passed") == (linear and (refused or peak >= 0.4 * USABLE))
    assert found["explanation"] == ("missing", "memory.words-missing")


def test_the_example_of_a_refused_second_layer():
    """Cell 38 keeps 6.58 GB, cell 39 allocates 7.6 GB beside it and is refused."""
    first = log(6_580_868_096, linear_calls=1)
    second = log(14_181_456_384, before=6_580_868_096, linear_calls=1, refusal_count=1)
    cells = (code(CUDA, device=first), code(CUDA, device=second), text("Нужно ещё место"))
    assert as_judged(FILL, *cells) == {
        "fills": ("passed", "memory.filled"),
        "forward": ("passed", "memory.applied-refused"),
        "explanation": ("review", "memory.explanation-to-read"),
    }


def test_a_full_card_is_never_shown_as_100_percent_before_it_is():
    view = view_of(code(CUDA, device=log(USABLE - 1)), device="virtual", card=CARD)
    assert findings_of(FILL, view)["fills"].values["percent"] == "99"


# ------------------------------------------------------------------ judged on another card

LARGER = Card(name="Larger", others={"Tesla T4": USABLE}, named="Tesla T4")
"""As a real card is known: how much fits, the child measures."""


def on_larger(question, card, **more):
    view = view_of(STATEMENT, code(CUDA, device=log(**more)), device="real", card=card)
    return judged(question, view)


@given(peak=st.integers(0, 8 * USABLE))
def test_what_fills_the_notebooks_own_card_is_for_a_person(peak):
    found = on_larger(FILL, LARGER, peak=peak, fits_before=8 * USABLE)["fills"]
    if peak >= 0.9 * 8 * USABLE:
        assert found == ("passed", "memory.filled")
    elif peak >= 0.9 * USABLE:
        assert found == ("review", "memory.other-card-filled")
    else:
        assert found == ("failed", "memory.not-filled")


@given(peak=st.integers(0, 8 * USABLE))
def test_what_the_notebooks_own_card_would_refuse_is_for_a_person(peak):
    found = on_larger(OOM, LARGER, peak=peak, fits_before=8 * USABLE)["out-of-memory"]
    if peak > USABLE:
        assert found == ("review", "memory.other-card-refuses")
    else:
        assert found == ("failed", "memory.not-refused")


@pytest.mark.parametrize("named", ["", "Larger", "Unheard of"])
def test_only_a_card_that_the_notebook_names_excuses(named):
    card = replace(LARGER, named=named)
    found = on_larger(FILL, card, peak=USABLE, fits_before=8 * USABLE)
    assert found["fills"] == ("failed", "memory.not-filled")
    found = on_larger(OOM, card, peak=2 * USABLE, fits_before=8 * USABLE)
    assert found["out-of-memory"] == ("failed", "memory.not-refused")


@given(peak=st.integers(0, 8 * USABLE))
def test_a_layer_applied_as_the_notebooks_own_card_allowed_is_for_a_person(peak):
    more = {"peak": peak, "fits_before": 8 * USABLE, "linear_calls": 1}
    found = on_larger(FILL, LARGER, **more)["forward"]
    if peak >= 0.4 * 8 * USABLE:
        assert found == ("passed", "memory.applied")
    elif peak >= 0.4 * USABLE:
        assert found == ("review", "memory.other-card-applied")
    else:
        assert found == ("failed", "memory.applied-small")


def test_what_a_smaller_card_refuses_and_the_notebooks_own_holds_is_for_a_person():
    smaller = Card(name="Smaller", exact=True, usable_bytes=USABLE, others={"Big": 2 * USABLE},
                   named="Big")  # fmt: skip
    half, whole = USABLE // 2, 19 * USABLE // 10
    refused = (refusal(whole - half, allocated=half),)
    cell = code(CUDA, device=log(half, refusal_count=1, refusals=refused))
    view = view_of(STATEMENT, cell, device="virtual", card=smaller)
    assert judged(FILL, view)["fills"] == ("review", "memory.other-card-filled")
    other = view_of(STATEMENT, cell, device="virtual", card=replace(smaller, named=""))
    assert judged(FILL, other)["fills"] == ("failed", "memory.not-filled")


@pytest.mark.parametrize("percent", [94, 96, 100])
@pytest.mark.parametrize("exact", [True, False])
def test_what_an_estimated_card_hardly_holds_may_overflow_the_real_one(percent, exact):
    card = Card(name="Card", exact=exact, usable_bytes=USABLE)
    cell = code(CUDA, device=log(USABLE * percent // 100))
    found = judged(OOM, view_of(STATEMENT, cell, device="virtual", card=card))["out-of-memory"]
    near = not exact and percent > 95
    wanted = ("review", "memory.near-estimate-free") if near else ("failed", "memory.not-refused")
    assert found == wanted


def test_all_that_a_card_says_it_has_is_no_estimate():
    total = USABLE * 104 // 100 // 64 * 64
    card = Card(name="Card", usable_bytes=USABLE, total_bytes=total, others={"Larger": total})
    for wanted in (total, total - 8):
        cell = code(CUDA, device=used("float64", 0, refused=wanted))
        view = view_of(STATEMENT, cell, device="virtual", card=card)
        assert judged(LARGEST, view)["float64"] == ("failed", "memory.only-refused")


def test_a_size_far_too_large_does_not_hide_one_that_is_nearly_right():
    near, far = USABLE * 101 // 100, 2 * USABLE
    both = used("float64", USABLE // 4, refused=far)
    refusals = (refusal(far, dtype="float64"), refusal(near, dtype="float64"))
    cell = code(CUDA, device=structs.replace(both, refusals=refusals, refusal_count=2))
    view = view_of(STATEMENT, cell, device="virtual", card=Card(name="A", usable_bytes=USABLE))
    (finding,) = [f for f in findings_of(LARGEST, view).values() if f.check == "float64"]
    assert (finding.outcome, finding.code) == (Outcome.REVIEW, "memory.near-estimate")
    assert finding.values["bytes"].replace("\u00a0", "") == str(near)
    assert finding.excerpt.replace("\u00a0", "") == f"float64: {near // 8}"


def test_sizes_found_on_another_card_are_for_a_person_on_a_real_one_too():
    cell = code(CUDA, device=structs.replace(used("float64", USABLE), fits_before=8 * USABLE))
    view = view_of(STATEMENT, cell, device="real", card=LARGER)
    assert judged(LARGEST, view)["float64"] == ("review", "memory.other-card")


@pytest.mark.parametrize(
    ("percent", "outcome", "code_"),
    [
        (101, "review", "memory.near-estimate"),
        (104, "review", "memory.near-estimate"),
        (106, "failed", "memory.only-refused"),
    ],
)
def test_what_an_estimated_card_hardly_refuses_is_for_a_person(percent, outcome, code_):
    wanted = USABLE * percent // 100
    estimated = Card(name="Estimated", usable_bytes=USABLE)
    cell = code(CUDA, device=used("float64", 0, refused=wanted))
    view = view_of(STATEMENT, cell, device="virtual", card=estimated)
    assert judged(LARGEST, view)["float64"] == (outcome, code_)
    exact = view_of(STATEMENT, cell, device="virtual", card=replace(estimated, exact=True))
    assert judged(LARGEST, exact)["float64"] == ("failed", "memory.only-refused")

    half = USABLE // 2
    cell = code(
        CUDA, device=log(half, refusal_count=1, refusals=(refusal(wanted - half, allocated=half),))
    )
    view = view_of(STATEMENT, cell, device="virtual", card=estimated)
    near = (outcome, code_ + "-filled") if outcome == "review" else ("failed", "memory.not-filled")
    assert judged(FILL, view)["fills"] == near


# ------------------------------------------------------------------ without a device


@pytest.mark.parametrize("question", [LARGEST, OOM, FILL], ids=lambda q: type(q).__name__)
def test_without_a_device_a_person_reads_what_the_notebook_printed(question):
    cell = code(CUDA, printed="allocated: 4096", error="AssertionError: no CUDA")
    found = as_judged(question, cell, device="none")
    assert set(found.values()) == {("review", "memory.no-device")}
    view = view_of(cell, device="none")
    finding = findings_of(question, view)[question.check_ids[0]]
    assert any(getattr(item, "shown", "") == "allocated: 4096" for item in finding.evidence)


@pytest.mark.parametrize("question", [LARGEST, OOM, FILL], ids=lambda q: type(q).__name__)
def test_without_a_device_an_empty_handout_is_missing(question):
    cell = code("ratios = {}\nexplanation = ''\n# cuda", bound=["ratios"])
    assert {outcome for outcome, _ in as_judged(question, cell, device="none").values()} == {
        "missing"
    }


@pytest.mark.parametrize("question", [LARGEST, OOM, FILL], ids=lambda q: type(q).__name__)
def test_a_device_that_cannot_be_set_up_is_ours(question):
    found = as_judged(question, code(CUDA), device="unavailable: cuda-build")
    assert set(found.values()) == {("grader-error", "memory.unavailable")}


# ------------------------------------------------------------------ the computer's own memory


@pytest.mark.parametrize("question", [LARGEST, OOM, FILL], ids=lambda q: type(q).__name__)
@pytest.mark.parametrize(("asked", "outcome"), [(7_200_000_000, "review"), (10**12, "failed")])
def test_a_layer_made_in_the_computers_memory_is_ours_where_a_course_has_that_much(
    question, asked, outcome
):
    words = f"RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate {asked} bytes."
    cell = code("nn.Linear(a, b).to('cuda')", error=words)
    code_ = "memory.host-memory-here" if outcome == "review" else "memory.host-memory"
    found = as_judged(question, cell)
    assert found[question.check_ids[0]] == (outcome, code_)
    if question is LARGEST:
        small = code(CUDA, device=used("float32", USABLE // 3))
        expected = "review" if outcome == "review" else "failed"
        assert as_judged(LARGEST, small, cell)["float32"][0] == expected
    if question is FILL:
        small = code(CUDA, device=log(USABLE // 3))
        assert as_judged(FILL, small, cell)["fills"] == (outcome, code_)
        full = code(CUDA, device=log(USABLE))
        assert as_judged(FILL, full, cell)["fills"][0] == "passed"
