// Memory that a kernel of the real build takes beside its results and gives back at its end. It shows
// in the peaks only.
#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>
#include <c10/core/Allocator.h>

#include <vector>

namespace vgpu {

using Scratch = std::vector<c10::DataPtr>;
using ScratchRule = void (*)(c10::ArrayRef<c10::IValue> arguments, Scratch& scratch);

// Take this many bytes, until the scratch goes.
void take(Scratch& scratch, size_t nbytes);

// Take the copy that a kernel makes of a tensor that is not contiguous.
void take_copy(Scratch& scratch, const c10::IValue& argument);

// ATen/native/cuda/Randperm.cu: keys, their sorted copy, the range, and cub's memory.
void take_for_randperm(Scratch& scratch, int64_t count);

// The rule for an operator, or null where nothing is known or needed.
ScratchRule scratch_rule(const std::string& operator_name);

// What the reduction kernels need to know of the card.
void set_multi_processors(int64_t count, int64_t threads_each);

}  // namespace vgpu
