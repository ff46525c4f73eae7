// Which random number an element of a tensor gets, as CUDA's kernels lay them out.
#pragma once

#include <ATen/ATen.h>
#include <torch/library.h>

#include <algorithm>
#include <array>

#include "generator.h"
#include "memory.h"
#include "scratch.h"

namespace vgpu {

// How many blocks of 256 threads the card runs at once: it decides which number an element gets.
void set_grid_limit(int64_t blocks);

// The threads that stride over a number of elements.
// ATen/native/cuda/DistributionTemplates.h, calc_execution_policy; Dropout.cu, dropout_cuda.
struct Grid {
  explicit Grid(int64_t count);

  // How often each thread draws, for `unroll` elements at a time.
  int64_t rounds(int64_t unroll) const { return divide_up(count, threads * unroll); }
  Philox reserve(DeviceGenerator& generator, int64_t unroll) const {
    return generator.reserve(rounds(unroll) * 4);
  }

  int64_t count;
  int64_t threads;
};

// Numbers for elements 0, 1, ...; those of one draw go to elements that lie a whole grid apart.
// ATen/native/cuda/DistributionTemplates.h, distribution_elementwise_grid_stride_kernel.
template <typename Number, int unroll, typename Transform>
at::Tensor draw_numbers(DeviceGenerator& generator, int64_t count, Transform transform) {
  const Grid grid(count);
  const Philox sequence = grid.reserve(generator, unroll);
  at::Tensor numbers = at::empty({count}, c10::CppTypeToScalarType<Number>::value);
  auto* out = numbers.mutable_data_ptr<Number>();
  for (int64_t round = 0; round < grid.rounds(unroll); ++round) {
    const int64_t start = round * grid.threads * unroll;
    const int64_t busy = std::min(grid.threads, count - start);
    for (int64_t thread = 0; thread < busy; ++thread) {
      const std::array<Number, unroll> values = transform(sequence(thread, round));
      int64_t element = start + thread;
      for (int part = 0; part < unroll && element < count; ++part, element += grid.threads) {
        out[element] = values[part];
      }
    }
  }
  return numbers;
}

// 64 random bits an element, modulo `range` where it is not 0.
at::Tensor draw_wide_integers(DeviceGenerator& generator, int64_t count, uint64_t range, int64_t base);

// The same elements in the order of their memory, as TensorIterator goes through them.
at::Tensor in_memory_order(const at::Tensor& tensor);

// Move the generator on as if it had filled the tensor. One that 32 bits cannot index counts as a
// whole, and once more in the parts that they can: distribution_nullary_kernel;
// ATen/native/TensorIterator.cpp, SplitUntil32Bit.
void pass_over(DeviceGenerator& generator, const at::Tensor& tensor, int64_t unroll);

// True where the values are in memory, or can be put there.
inline bool can_be_real(const at::Tensor& tensor) {
  Block* block = block_of(tensor);
  return block == nullptr || make_real(*block);
}

// Give a tensor numbers, or unknown values where it cannot be in memory; the generator moves on in
// either case.
template <typename Number, int unroll, typename Transform>
void fill(const at::Tensor& self, const MaybeGenerator& generator, Transform transform) {
  DeviceGenerator& source = generator_of(generator);
  if (!can_be_real(self)) {
    pass_over(source, self, unroll);
    set_unknown(*block_of(self));
    return;
  }
  const at::Tensor target = in_memory_order(host_alias(self));
  target.copy_(draw_numbers<Number, unroll>(source, self.numel(), transform).view(target.sizes()));
}

template <typename Number, size_t size, typename Transform>
std::array<Number, size> each(std::array<Number, size> numbers, Transform transform) {
  for (Number& number : numbers) {
    number = transform(number);
  }
  return numbers;
}

// ATen/native/cuda/DistributionTemplates.h, uniform_and_transform: doubles come by two; numbers of any
// other dtype are made from floats, by four.
template <typename Transform>
void fill_uniform(const at::Tensor& self, const MaybeGenerator& generator, Transform transform) {
  if (self.scalar_type() == at::kDouble) {
    fill<double, 2>(self, generator,
                    [&](const Draw& d) { return each(uniform_doubles(d), transform); });
  } else {
    fill<float, 4>(self, generator,
                   [&](const Draw& d) { return each(uniform_floats(d), transform); });
  }
}

// The nearest number that a dtype holds.
template <typename Number>
Number rounded(Number value, at::ScalarType dtype) {
  switch (dtype) {
    case at::kHalf: return static_cast<float>(c10::Half(static_cast<float>(value)));
    case at::kBFloat16: return static_cast<float>(c10::BFloat16(static_cast<float>(value)));
    case at::kFloat: return static_cast<float>(value);
    default: return value;
  }
}

void register_distributions(torch::Library& library);
void register_sampling(torch::Library& library);

}  // namespace vgpu
