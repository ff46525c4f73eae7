"""The cards, a card of one's own, and cards found in a notebook's outputs."""

import json
import os
import re
from pathlib import Path

import pytest

from grader.vgpu.cards import CARDS, L4, T4, T4_TODAY, Card, find_card
from grader.vgpu.smi import nvidia_smi

MIB = 1 << 20
OWN = {
    "name": "My Card",
    "total_memory": 8 * 1024 * MIB,
    "capability": (8, 6),
    "multi_processor_count": 20,
    "max_threads_per_multi_processor": 1536,
    "l2_cache": 2 * MIB,
}


def test_only_the_t4_is_called_exact():
    assert [card for card in CARDS.values() if card.exact] == [T4]
    assert all(key == card.key for key, card in CARDS.items())


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_every_card_says_where_its_figures_come_from(card):
    assert "https://" in card.source or "tools/record_card.py" in card.source
    assert card.exact or "estimated" in card.source


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Tesla T4", "major=7, minor=5, total_memory=15109MB, multi_processor_count=40"),
        (
            "Tesla P100-PCIE-16GB",
            "major=6, minor=0, total_memory=16280MB, multi_processor_count=56",
        ),
        (
            "Tesla V100-SXM2-16GB",
            "major=7, minor=0, total_memory=16160MB, multi_processor_count=80",
        ),
    ],
)
def test_cards_have_the_properties_that_torch_printed_on_them(name, line):
    """As printed by `torch.cuda.get_device_properties` in many public notebooks."""
    card = CARDS[name]
    major, minor = card.capability
    assert line == (
        f"major={major}, minor={minor}, total_memory={card.total_memory // MIB}MB, "
        f"multi_processor_count={card.multi_processor_count}"
    )


def test_the_workspace_of_cublas_grows_with_hopper():
    assert T4.cublas_workspace == 8519680
    assert Card(**{**OWN, "capability": (9, 0)}).cublas_workspace == 32 * MIB


def test_a_card_of_ones_own_is_taken():
    card = Card(**OWN)
    assert not card.exact
    assert card.usable == 8 * 1024 * MIB - card.overhead - card.unusable


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"name": " "}, ValueError, "name must be printable and not empty: ' '"),
        ({"name": "a\x1b[2J"}, ValueError, "name must be printable"),
        ({"name": 4}, TypeError, "name must be text, not 4"),
        ({"total_memory": 8.0}, TypeError, "total_memory must be a whole number, not 8.0"),
        ({"total_memory": 1}, ValueError, f"total_memory must be at least {64 * MIB}: 1"),
        ({"overhead": -1}, ValueError, "overhead must be at least 0: -1"),
        ({"overhead": 1 << 40}, ValueError, "leave nothing of total_memory="),
        ({"capability": 8.6}, TypeError, "capability must be a pair like (7, 5), not 8.6"),
        ({"capability": (1, 0)}, ValueError, "capability[0] must be at least 3: 1"),
        (
            {"multi_processor_count": True},
            TypeError,
            "multi_processor_count must be a whole number",
        ),
        ({"max_threads_per_multi_processor": 300}, ValueError, "must be a multiple of 256: 300"),
        ({"idle": 1 << 40}, ValueError, "must be part of overhead="),
        ({"driver": "newest"}, ValueError, "driver must begin with a whole number: 'newest'"),
        ({"power_watts": 0}, ValueError, "power_watts must be at least 1: 0"),
    ],
)
def test_an_impossible_card_is_refused_with_the_figure(changed, error, words):
    with pytest.raises(error, match=re.escape(words)):
        Card(**{**OWN, **changed})


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_card_is_found_by_its_name_and_by_its_own_nvidia_smi(card):
    assert find_card(f"'{card.name}'") is CARDS[card.name]
    assert find_card(nvidia_smi(card, 0)) is card


@pytest.mark.parametrize(
    "text", ["", "Tesla V100-SXM2-32GB", "NVIDIA L40S", "NVIDIA A100-SXM4-80GB", "T4 is a tank"]
)
def test_other_cards_are_not_taken_for_known_ones(text):
    assert find_card(text) is None


@pytest.mark.parametrize(
    ("text", "card"),
    [
        (
            "Tesla T4 ... GPU 0 has a total capacity of 14.74 GiB of which 2.12 MiB is free.",
            T4_TODAY,
        ),
        (
            "Tesla T4 ... GPU 0 has a total capacty of 14.75 GiB of which 2.12 MiB is free.",
            T4_TODAY,
        ),
        ("name='Tesla T4', major=7, minor=5, total_memory=15095MB", T4_TODAY),
        ("Tesla T4 (2126400000, 15828320256)", T4_TODAY),
        ("Tesla T4 ... (GPU 0; 14.76 GiB total capacity; 4.00 KiB already allocated;", T4),
        ("name='Tesla T4', major=7, minor=5, total_memory=15109MB", T4),
        ("NVIDIA L4 and 14.74 GiB", L4),
        ("GPU 0 has a total capacity of 14.74 GiB of which 2.12 MiB is free.", T4_TODAY),
        ("(GPU 0; 14.75 GiB total capacity; 4.00 KiB already allocated;", T4_TODAY),
        ("Tesla T4: Tried to allocate 14.75 GiB (GPU 0; 14.76 GiB total capacity;", T4),
        ("14.74 GiB", None),
    ],
)
def test_a_t4_is_that_of_its_driver(text, card):
    assert find_card(text) is card


def test_of_several_cards_the_first_counts():
    assert find_card("NVIDIA L4 and then Tesla T4") is L4


def test_the_card_of_the_example_notebook_is_found():
    path = os.environ.get("GRADER_EXAMPLE_NOTEBOOK")
    if not path:
        pytest.skip("GRADER_EXAMPLE_NOTEBOOK names no notebook")
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert find_card(json.dumps(outputs)) is T4
