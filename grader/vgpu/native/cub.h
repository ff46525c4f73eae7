// Temporary memory of CUB, the library of sorts and scans under PyTorch's kernels. A kernel asks it how
// many bytes it wants and takes them from the allocator; the rules are those of CUB 3.0 (CUDA 13.0).
#pragma once

#include <c10/core/ScalarType.h>

namespace vgpu::cub {

// DeviceRadixSort::SortPairs and SortKeys (value_bytes = 0) by that many bits of the keys.
int64_t sort_bytes(int64_t count, c10::ScalarType key, int64_t value_bytes, int64_t bits);
int64_t sort_bytes(int64_t count, c10::ScalarType key, int64_t value_bytes);

// DeviceSegmentedRadixSort::SortPairs.
int64_t segmented_sort_bytes(int64_t count, int64_t key_bytes, int64_t value_bytes);

// DeviceSelect::Flagged of 64-bit indices.
int64_t select_flagged_bytes(int64_t count);

// DeviceSelect::Unique and DeviceRunLengthEncode::Encode with 64-bit lengths.
int64_t unique_bytes(int64_t count, int64_t key_bytes);
int64_t run_length_bytes(int64_t count);

// DeviceSelect::UniqueByKey of 64-bit keys.
int64_t unique_by_key_bytes(int64_t count, int64_t value_bytes);

// DeviceScan with an operator that CUB does not know as its own.
int64_t scan_bytes(int64_t count, int64_t accumulator_bytes);

// DeviceScan::InclusiveSumByKey of 32-bit numbers by 32-bit keys.
int64_t scan_by_key_bytes(int64_t count);

// DeviceReduce::Sum into a 32-bit number.
int64_t count_bytes(int64_t count);

}  // namespace vgpu::cub
