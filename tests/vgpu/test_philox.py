"""CUDA's random numbers against values that real cards printed in public threads."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from grader.vgpu.cards import A100, T4
from grader.vgpu.philox import CudaGenerator, philox4x32

CARDS = {
    "A100": {"multi_processor_count": 108, "max_threads_per_multi_processor": 2048},
    "H100": {"multi_processor_count": 132, "max_threads_per_multi_processor": 2048},
    "RTX A4000": {"multi_processor_count": 48, "max_threads_per_multi_processor": 1536},
}


def assert_printed(values, printed):
    """Compare with numbers printed to four decimals."""
    assert np.abs(np.asarray(values, np.float64) - np.asarray(printed)).max() <= 0.5001e-4


def test_the_words_are_the_known_answers_of_random123():
    """From the file kat_vectors of Random123, the lines `philox4x32 10`."""
    ones = 0xFFFFFFFF
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    answers = [
        ((0, 0, 0, 0), 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((ones,) * 4, (1 << 64) - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (pi, 0x299F31D0A4093822, "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ]
    for counter, key, expected in answers:
        words = philox4x32(counter, key)
        assert " ".join(f"{int(word):08x}" for word in words) == expected


def test_randn_of_a_few_elements_is_that_of_any_card():
    """https://github.com/pytorch/pytorch/issues/79496, seed 10, torch 1.11."""
    assert_printed(CudaGenerator(10).normal(3), [-0.1029, 1.6810, -0.2708])


@pytest.mark.parametrize(
    ("card", "last"),
    [("A100", [0.1549, -0.6797, -0.1656]), ("H100", [-0.6970, -0.7780, 0.3267])],
)
def test_randn_of_a_large_tensor_is_that_of_the_card(card, last):
    """https://github.com/pytorch/pytorch/issues/143086, seed 1, torch 2.5.1."""
    values = CudaGenerator(1, **CARDS[card]).normal(49 * 12 * 112 * 144)
    assert_printed(values[:3], [-0.2963, 2.6764, -0.1408])
    assert_printed(values[-3:], last)


def test_normal_of_a_hundred_thousand_elements_is_that_of_an_rtx_a4000():
    """https://github.com/pytorch/pytorch/issues/97097, seed 14, mean 5, variance 5, torch 2.0."""
    values = CudaGenerator(14, **CARDS["RTX A4000"]).normal(100_000)
    values = (values * np.float32(math.sqrt(5)) + np.float32(5)).reshape(1000, 100)
    edges = values[[0, 1, 2, -3, -2, -1]][:, [0, 1, 2, -3, -2, -1]]
    assert_printed(
        edges,
        [
            [2.8731, 5.2727, 2.9889, 1.6853, 9.6331, 6.6319],
            [3.9968, 3.8097, 5.7328, 4.4029, 3.9804, 7.4698],
            [6.5552, 4.0857, 4.2315, 2.7704, 3.5479, 3.3063],
            [8.6297, 2.3137, 6.2596, 7.9358, 4.4697, 2.7475],
            [7.0551, 7.8583, 3.9990, 4.1139, 8.9315, 4.2042],
            [2.7337, 2.2106, 7.7815, 8.2207, 6.5395, 4.2604],
        ],
    )


def test_randn_of_a_latent_begins_as_printed_on_two_machines():
    """https://github.com/pytorch/pytorch/issues/158398, seed 42, shape (1, 64, 2048)."""
    values = CudaGenerator(42).normal(64 * 2048).reshape(64, 2048)
    assert_printed(values[0, :3], [0.1940, 2.1614, -0.1721])
    assert_printed(values[0, -3:], [1.4540, -2.7733, -0.8932])
    assert_printed(values[2, -3:], [-1.0001, -1.1552, -0.6955])


@given(st.integers(0, 2**64 - 1), st.integers(1, 40_960))
def test_cards_agree_below_the_size_of_the_smaller_grid(seed, count):
    """The T4's grid holds 40960 threads: https://github.com/pytorch/pytorch/issues/194676."""
    small, large = (
        CudaGenerator(
            seed,
            multi_processor_count=card.multi_processor_count,
            max_threads_per_multi_processor=card.max_threads_per_multi_processor,
        )
        for card in (T4, A100)
    )
    assert np.array_equal(small.uniform(count), large.uniform(count))
    assert small.offset == large.offset == 4


@given(st.integers(0, 2**64 - 1), st.integers(0, 1000), st.integers(0, 1000))
def test_values_depend_on_seed_and_offset_alone(seed, first, second):
    generator, other = CudaGenerator(seed), CudaGenerator(seed)
    generator.uniform(first)
    other.offset = generator.offset
    assert np.array_equal(generator.normal(second), other.normal(second))
    assert generator.offset == other.offset


@given(st.integers(0, 2**64 - 1))
def test_uniform_values_lie_in_the_half_open_interval(seed):
    values = CudaGenerator(seed).uniform(2000)
    assert values.dtype == np.float32
    assert 0 <= values.min() <= values.max() < 1


@given(
    st.integers(0, 2**64 - 1),
    st.integers(-(2**40), 2**40),
    st.sampled_from([1, 2, 10, 2**28 - 1, 2**28, 2**40]),
)
def test_integers_lie_in_their_range(seed, low, size):
    values = CudaGenerator(seed).integers(500, low, low + size)
    assert low <= values.min() <= values.max() < low + size


def test_an_empty_range_is_refused():
    with pytest.raises(ValueError, match="low=3 must be below high=3"):
        CudaGenerator().integers(1, 3, 3)


def test_the_offset_grows_by_four_for_each_round_of_the_grid():
    generator = CudaGenerator(multi_processor_count=40, max_threads_per_multi_processor=1024)
    generator.uniform(4 * 40_960)
    assert generator.offset == 4
    generator.uniform(4 * 40_960 + 1)
    assert generator.offset == 12
    generator.manual_seed(-1)
    assert (generator.seed, generator.offset) == (2**64 - 1, 0)
