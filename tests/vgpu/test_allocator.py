"""Single rules of the allocator, its settings and its messages."""

import re

import hypothesis.strategies as st
import pytest
from hypothesis import given

from grader.vgpu.allocator import CachingAllocator, Config, DeviceMemory, OutOfMemory, format_size
from grader.vgpu.cards import T4
from grader.vgpu.profiles import PROFILES, find_profile

MIB = 1 << 20


def make(conf="", *, version="2.13", total=1024 * MIB, overhead=0, unusable=0):
    memory = DeviceMemory(total, overhead, unusable=unusable)
    return CachingAllocator(memory, Config(conf), profile=PROFILES[version])


def on_a_t4(version):
    return make(version=version, total=T4.total_memory, overhead=T4.overhead, unusable=T4.unusable)


def refusal(allocator, nbytes):
    with pytest.raises(OutOfMemory) as caught:
        allocator.malloc(nbytes)
    return str(caught.value)


def test_no_bytes_take_no_memory():
    allocator = make()
    assert allocator.malloc(0) is None
    assert allocator.reserved() == 0


def test_a_block_is_freed_once():
    allocator = make()
    block = allocator.malloc(1000)
    allocator.free(block)
    with pytest.raises(ValueError, match="not in use in this allocator"):
        allocator.free(block)
    allocator.malloc(2 * MIB)
    with pytest.raises(ValueError, match="not in use in this allocator"):
        allocator.free(block)


def test_a_block_handed_out_again_is_a_new_one():
    allocator = make()
    first = allocator.malloc(12 * MIB)
    allocator.free(first)
    second = allocator.malloc(12 * MIB)
    assert first.ptr == second.ptr
    assert allocator.owns(second)
    assert not allocator.owns(first)


@pytest.mark.parametrize("version", sorted(PROFILES))
def test_equal_blocks_are_taken_by_segment_age_or_by_address(version):
    allocator = make(version=version)
    low, high = allocator.malloc(12 * MIB), allocator.malloc(12 * MIB)
    # The older segment goes back to the driver, and a younger one takes its lower address.
    address = low.ptr
    allocator.free(low)
    allocator.empty_cache()
    young = allocator.malloc(12 * MIB)
    assert young.ptr == address < high.ptr
    for block in (young, high):
        allocator.free(block)
    oldest_first = PROFILES[version].breaks_ties_by_segment
    assert allocator.malloc(12 * MIB).ptr == (high.ptr if oldest_first else address)


def test_another_stream_does_not_take_a_free_block():
    allocator = make(total=22 * MIB)
    anchor = allocator.malloc(2 * MIB, stream=1)
    assert allocator.owns(anchor)
    assert allocator.largest_fit(stream=1) == 18 * MIB
    assert allocator.largest_fit(stream=0) == MIB


def test_the_largest_tensor_of_a_t4_is_that_of_the_notebook():
    """Its author found 4096 rows of 927610 float32 to fit, and 15200157696 bytes reserved."""
    allocator = on_a_t4("1.12")
    allocator.malloc(4 * 1024)
    allocator.free(allocator.malloc(4096 * 927610 * 4))
    assert allocator.reserved() == 15200157696 == T4.usable
    allocator.empty_cache()
    assert allocator.largest_fit() // (4096 * 4) == 927616


def test_the_1_12_profile_refuses_in_the_words_the_notebook_shows():
    allocator = on_a_t4("1.12")
    allocator.malloc(4096)
    assert refusal(allocator, 4096 * 927605 * 8).startswith(
        "CUDA out of memory. Tried to allocate 28.31 GiB (GPU 0; 14.76 GiB total capacity; "
        "4.00 KiB already allocated; 14.16 GiB free; 2.00 MiB reserved in total by PyTorch) "
    )


@pytest.mark.parametrize("version", sorted(PROFILES))
@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_a_profile_recognises_its_own_message_and_no_other(version, fraction):
    allocator = on_a_t4(version)
    allocator.set_memory_fraction(fraction)
    message = refusal(allocator, 1 << 40)
    assert [name for name, p in PROFILES.items() if p.pattern.search(message)] == [version]
    assert ("allowed; " in message) == (fraction < 1)
    assert find_profile(f"Traceback\n{message}") == (version if version == "1.12" else None)


def test_outputs_without_a_refusal_show_no_profile():
    assert find_profile("allocated: 4096\nreserved: 2097152") is None


def test_the_error_of_1_12_was_a_plain_runtime_error():
    assert PROFILES["1.12"].exception == "RuntimeError"
    assert PROFILES["2.13"].exception == "OutOfMemoryError"


@pytest.mark.parametrize("version", sorted(PROFILES))
def test_a_profile_names_statistics_that_are_counted(version):
    counted = set(make(version=version).nested_stats())
    assert PROFILES[version].statistics <= counted
    assert PROFILES["2.13"].statistics == counted


def test_an_early_rejection_says_what_was_asked_for():
    allocator = make("throw_on_cudamalloc_oom:True")
    message = refusal(allocator, 1536 * MIB)
    assert message.endswith("Requested size: 1.50 GiB")
    assert allocator.nested_stats()["num_oom_rejections"] == 1


def test_a_fraction_outside_0_to_1_is_refused():
    with pytest.raises(ValueError, match=re.escape("invalid fraction:1.5")):
        make().set_memory_fraction(1.5)


def test_segments_that_vanish_with_a_state_are_reported():
    allocator = make()
    kept = allocator.malloc(30 * MIB)
    state = allocator.state()
    gone = allocator.malloc(50 * MIB)
    reported = []
    allocator.memory.on_free = lambda address, size: reported.append((address, size))
    allocator.set_state(state)
    assert reported == [(gone.ptr, 50 * MIB)]
    assert allocator.owns(kept)


@given(st.integers(1, 1 << 36))
def test_requests_round_up_to_512_bytes(nbytes):
    size = Config().round_size(nbytes)
    assert size % 512 == 0
    assert 0 <= size - nbytes < 512


@given(st.integers(1, 1 << 36), st.sampled_from([2, 4, 8, 16]))
def test_divisions_round_up_by_less_than_one_step(nbytes, divisions):
    config = Config(f"roundup_power2_divisions:{divisions}")
    size = config.round_size(nbytes)
    assert nbytes <= size < nbytes + max(512, (1 << (nbytes.bit_length() - 1)) // divisions)


@given(st.integers(0, 1 << 36), st.sampled_from(["", "roundup_power2_divisions:[256:1,512:2,>:8]"]))
def test_the_largest_request_is_the_last_that_fits(size, conf):
    config = Config(conf)
    largest = config.largest_request(size)
    assert largest == 0 or config.round_size(largest) <= size
    assert config.round_size(largest + 1) > size


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ("max_split_mb:128", "Unrecognized key 'max_split_mb'"),
        ("max_split_size_mb:8", "max_split_size_mb too small, must be >= 20"),
        ("max_split_size_mb:many", "must be a whole number, not 'many'"),
        ("max_non_split_rounding_mb:1", "too small, must be >= 20"),
        ("large_segment_size_mb:0", "must be > 0"),
        ("garbage_collection_threshold:1.5", "set it in (0.0, 1.0)"),
        ("garbage_collection_threshold:x", "must be a number, not 'x'"),
        ("per_process_memory_fraction:2", "set it in [0.0, 1.0]"),
        ("expandable_segments:true", "Expected 'True' or 'False'"),
        ("roundup_power2_divisions:3", "powers of 2"),
        ("roundup_power2_divisions:[3:4]", "powers of 2"),
        ("backend:other", "options are native and cudaMallocAsync"),
        ("max_split_size_mb", "expected key:value at 'max_split_size_mb'"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_value(conf, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        Config(conf)


def test_another_backend_is_refused_as_not_modelled():
    with pytest.raises(NotImplementedError, match="cudaMallocAsync"):
        Config("backend:cudaMallocAsync")


def test_settings_may_be_spaced_and_those_of_the_host_do_not_matter():
    config = Config(" backend:native, max_split_size_mb : 64 ,pinned_use_background_threads:True")
    assert config.max_split_size == 64 * MIB


def test_sizes_read_as_in_pytorch():
    sizes = {512: "512 bytes", 1024: "1024 bytes", 1536: "1.50 KiB", MIB: "1024.00 KiB"}
    sizes |= {MIB + MIB // 2: "1.50 MiB", 1 << 30: "1024.00 MiB", 3 << 30: "3.00 GiB"}
    assert {size: format_size(size) for size in sizes} == sizes


def test_memory_that_does_not_fit_a_card_is_refused():
    with pytest.raises(ValueError, match="overhead=2"):
        DeviceMemory(1, 2)
