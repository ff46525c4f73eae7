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

// Take these bytes and give them back at once.
void pass(size_t nbytes);

// Take the copy that a kernel makes of a tensor that is not contiguous.
void take_copy(Scratch& scratch, const c10::IValue& argument);

// The rule for an operator, or null where nothing is known or needed.
ScratchRule scratch_rule(const std::string& operator_name);

// What kernels need to know of the card when they lay out their work.
struct Architecture {
  int64_t processors = 40;
  int64_t threads_a_processor = 1024;
  int64_t capability = 75;  // compute capability, 75 for 7.5
};
Architecture& architecture();

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

inline int64_t power_of_two_below(int64_t n) {
  int64_t power = 1;
  while (power * 2 <= n) {
    power *= 2;
  }
  return power;
}

}  // namespace vgpu
