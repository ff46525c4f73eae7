"""Which card a submission runs on, what is promised of it, and what is said where there is none."""

import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.devices import (
    DeviceError,
    choose_card,
    figures_of,
    full_name,
    missing_device,
    real_card,
    require_known,
)
from grader.messages import LANGUAGES, message
from grader.vgpu.cards import CARDS
from grader.vgpu.profiles import PROFILES

REASONS = (
    "cuda-build",
    "torch-version",
    "torch-missing",
    "platform",
    "compiler-missing",
    "build-failed",
    "cache-folder",
    "install-failed",
)


@pytest.mark.parametrize(("card", "profile"), [("Tesla T5", ""), ("tesla t4", ""), ("", "1.13")])
def test_an_unknown_card_or_profile_is_refused_with_those_that_are_known(card, profile):
    with pytest.raises(DeviceError) as refused:
        require_known(card, profile)
    for language in LANGUAGES:
        text = message(refused.value.code, refused.value.values, language=language)
        assert (card or profile) in text
        assert all(name in text for name in (CARDS if card else PROFILES))


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("t4", "Tesla T4"),
        ("TESLA T4", "Tesla T4"),
        ("t4 (driver 550)", "Tesla T4 (driver 550)"),
        ("550", "Tesla T4 (driver 550)"),
        ("a100", "NVIDIA A100-SXM4-40GB"),
        ("tesla", "tesla"),
        ("real", "real"),
        ("", ""),
        ("Tesla T5", "Tesla T5"),
        *((name, name) for name in CARDS),
    ],
)
def test_a_part_of_a_name_is_enough_where_it_stands_for_one_card(part, name):
    assert full_name(part) == name


@given(card=st.sampled_from(["", *CARDS]), profile=st.sampled_from(["", *PROFILES]))
def test_known_cards_and_profiles_are_taken(card, profile):
    require_known(card, profile)
    chosen = choose_card("Tesla P100-PCIE-16GB", card=card, profile=profile)
    assert chosen.name == card or (card == "" and chosen.name == "Tesla P100-PCIE-16GB")
    assert (chosen.named, chosen.profile) == ("Tesla P100-PCIE-16GB", profile)
    assert set(chosen.others) == set(CARDS) - {chosen.name}


@pytest.mark.parametrize(
    ("printed", "named"),
    [
        ("total capacity of 14.74 GiB", "Tesla T4"),
        ("Tesla T4", "Tesla T4"),
        ("NVIDIA L4", "NVIDIA L4"),
        ("", ""),
    ],
)
def test_a_real_card_is_the_one_of_its_name_whatever_its_driver(printed, named):
    server = SimpleNamespace(device="real", card="Tesla T4", torch="2.13.0")
    card = real_card(printed, server)
    assert (card.name, card.named, card.exact) == ("Tesla T4", named, True)
    assert {name.split(" (")[0] for name in card.others} == {c.name for c in CARDS.values()} - {
        "Tesla T4"
    }


def test_without_a_name_it_is_the_tesla_t4():
    assert choose_card("", card="", profile="").name == "Tesla T4"


def test_only_the_tesla_t4_is_promised_byte_for_byte():
    worth = {name: figures_of(choose_card("", card=name, profile=""), "virtual") for name in CARDS}
    assert worth.pop("Tesla T4") == "exact"
    assert set(worth.values()) == {"estimated"}
    assert figures_of(choose_card("", card="", profile=""), "unavailable: cuda-build") == ""


def test_every_reason_is_said_in_one_line_with_what_to_do():
    for reason in REASONS:
        server = SimpleNamespace(device=f"unavailable: {reason}", torch="2.9.1")
        code, values = missing_device(server)
        for language in LANGUAGES:
            text = message(code, values, language=language)
            assert "\n" not in text
            assert not re.search(r"\{\w+\}", text)
            assert message(f"{code}.explain", values, language=language)
    assert "--index-url https://download.pytorch.org/whl/cpu" in message(
        "device.cuda-build", values, language="en"
    )


@pytest.mark.parametrize("device", ["virtual", "none"])
def test_where_nothing_is_missing_nothing_is_said(device):
    assert missing_device(SimpleNamespace(device=device, torch="2.13.0")) is None
