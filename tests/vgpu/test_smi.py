"""The text of nvidia-smi."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from grader.vgpu.cards import CARDS, T4
from grader.vgpu.smi import nvidia_smi

MIB = 1 << 20
MOMENT = datetime(2022, 12, 4, 9, 42, 46, tzinfo=UTC)


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
@pytest.mark.parametrize("used", [0, 3 << 30])
def test_every_line_of_the_table_is_equally_long(card, used):
    lines = nvidia_smi(card, used, MOMENT).split("\n")
    assert len({len(line) for line in lines[1:] if line}) == 1


def test_memory_is_shown_in_whole_mib():
    assert "| 15075MiB / 15109MiB |" in nvidia_smi(T4, 15075 * MIB + 5, MOMENT).replace("  ", " ")


def test_a_long_name_is_cut():
    assert "|   0  Tesla P100-PCIE...  Off  |" in nvidia_smi(
        CARDS["Tesla P100-PCIE-16GB"], 0, MOMENT
    )


def test_without_a_moment_it_is_now():
    before = datetime.now().astimezone()
    printed = nvidia_smi(T4, 0).split("\n")[0].strip()
    after = datetime.now().astimezone()
    moment = datetime.strptime(printed, "%a %b %d %H:%M:%S %Y").astimezone()
    assert before.replace(microsecond=0) <= moment <= after


def test_it_is_what_a_real_t4_printed_after_one_small_tensor():
    path = os.environ.get("GRADER_EXAMPLE_NOTEBOOK")
    if not path:
        pytest.skip("GRADER_EXAMPLE_NOTEBOOK names no notebook")
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    (printed,) = (
        "".join(output["text"])
        for cell in cells
        for output in cell.get("outputs", ())
        if "NVIDIA-SMI" in "".join(output.get("text", ""))
    )
    ours = nvidia_smi(T4, T4.overhead + 2 * MIB, MOMENT).split("\n")
    # The notebook's copy lost the double rule, and ends in the middle of the processes.
    theirs = printed.rstrip("\n").split("\n")
    ours = [line for line in ours if "==+" not in line]
    assert ours[: len(theirs) - 1] == theirs[:-1]
    assert ours[len(theirs) - 1].startswith(theirs[-1])
