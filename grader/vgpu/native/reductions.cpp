// Memory of reductions: sums, means, extremes, norms.
#include <ATen/ATen.h>

#include <algorithm>

#include "rules.h"

namespace vgpu {
namespace {

// How a reduction lies in memory, as far as its kernel cares.
struct Reduction {
  int64_t outputs;
  int64_t inputs;  // per output
  bool fastest;    // the reduced elements lie next to each other
  bool flat;       // all of a contiguous tensor
};

// Buffer and semaphores of a reduction that several blocks share.
// ATen/native/cuda/Reduce.cuh, setReduceConfig, ReduceConfig::global_memory_size and semaphore_size.
void take_for_reduction(Scratch& scratch, const Reduction& shape, int64_t accumulator_bytes) {
  constexpr int64_t vector = 4, most_threads = 512, warp = 32, least_values = 16, most_values = 256;
  int64_t across = shape.fastest ? shape.inputs : shape.outputs;
  const int64_t down = shape.fastest ? shape.outputs : shape.inputs;
  int64_t output_vector = 1;
  if (shape.fastest && shape.flat && across > 128) {
    across /= vector;
  } else if (!shape.fastest && shape.outputs % vector == 0) {
    output_vector = vector;
    across /= vector;
  }
  const int64_t threads_limit = most_threads / output_vector;
  const int64_t wide = across < threads_limit ? power_of_two_below(std::max<int64_t>(across, 1))
                                              : threads_limit;
  const int64_t high = down < threads_limit ? power_of_two_below(std::max<int64_t>(down, 1))
                                            : threads_limit;
  const int64_t height = std::min(high, threads_limit / std::min(wide, warp));
  const int64_t width = std::min(wide, threads_limit / height);
  int64_t input_step = 1, output_step = 1;
  (shape.fastest ? input_step : output_step) *= width;
  const auto values = [&] { return divide_up(shape.inputs, input_step); };
  const bool splits_input = values() >= height * 16 || values() >= most_values;
  (splits_input ? input_step : output_step) *= height;
  const int64_t grid = divide_up(shape.outputs / output_vector, output_step);
  const Architecture& card = architecture();
  const int64_t wanted_grid = card.processors * (card.threads_a_processor / (width * height));
  if (!splits_input || values() < most_values || grid > wanted_grid) {
    return;
  }
  const int64_t blocks = std::max(
      std::min(divide_up(wanted_grid, grid), divide_up(values(), least_values)),
      divide_up(values(), most_values));
  if (blocks <= 1) {
    return;
  }
  int64_t buffer = accumulator_bytes * shape.outputs * blocks;
  if (!shape.fastest) {
    buffer *= width * output_vector;
  }
  take(scratch, buffer);
  take(scratch, sizeof(int) * grid);
}

std::vector<int64_t> reduced_dimensions(const c10::IValue& argument, int64_t dimensions) {
  std::vector<int64_t> found;
  if (argument.isInt()) {
    found.push_back(argument.toInt());
  } else if (argument.isIntList()) {
    found = argument.toIntVector();
  }
  for (int64_t& dimension : found) {
    dimension = dimension < 0 ? dimension + dimensions : dimension;
  }
  return found;
}

std::optional<Reduction> reduction_of(Arguments arguments) {
  const at::Tensor& self = arguments[0].toTensor();
  if (self.numel() == 0 || self.dim() == 0) {
    return std::nullopt;
  }
  const auto reduced = arguments.size() > 1 ? reduced_dimensions(arguments[1], self.dim())
                                            : std::vector<int64_t>{};
  if (reduced.empty() || static_cast<int64_t>(reduced.size()) == self.dim()) {
    return Reduction{1, self.numel(), true, self.is_non_overlapping_and_dense()};
  }
  int64_t inputs = 1, least_reduced = INT64_MAX, least_kept = INT64_MAX;
  for (int64_t dimension = 0; dimension < self.dim(); ++dimension) {
    const bool is_reduced =
        std::find(reduced.begin(), reduced.end(), dimension) != reduced.end();
    inputs *= is_reduced ? self.size(dimension) : 1;
    int64_t& least = is_reduced ? least_reduced : least_kept;
    if (self.size(dimension) > 1) {
      least = std::min(least, self.stride(dimension));
    }
  }
  return Reduction{self.numel() / inputs, inputs, least_reduced < least_kept, false};
}

// What a reduction works in: sums of integers are of 64 bits.
at::ScalarType sum_type(const at::Tensor& self, const c10::IValue& wanted) {
  if (wanted.isInt()) {
    return static_cast<at::ScalarType>(wanted.toInt());
  }
  return at::isIntegralType(self.scalar_type(), /*includeBool=*/true) ? at::kLong : self.scalar_type();
}

// ATen/native/ReduceOpsUtils.h, make_reduction_from_out_ty: another dtype is converted to first, but for
// half precision in and single out.
void sum_of(Arguments arguments, const c10::IValue& wanted, Scratch& scratch) {
  const at::Tensor& self = arguments[0].toTensor();
  const at::ScalarType type = sum_type(self, wanted);
  const bool widens = at::isReducedFloatingType(self.scalar_type()) && type == at::kFloat;
  if (type != self.scalar_type() && !widens) {
    take(scratch, self.numel() * c10::elementSize(type));
  }
  if (const auto shape = reduction_of(arguments)) {
    take_for_reduction(scratch, *shape, std::max<int64_t>(4, c10::elementSize(type)));
  }
}

void reduce(Arguments arguments, int64_t accumulator_bytes, Scratch& scratch) {
  if (const auto shape = reduction_of(arguments)) {
    take_for_reduction(scratch, *shape, accumulator_bytes);
  }
}

// A result of one element, and what its reduction takes.
void take_extreme(Arguments arguments, Scratch& scratch) {
  const int64_t bytes = arguments[0].toTensor().element_size();
  take(scratch, bytes);
  reduce(arguments.slice(0, 1), bytes, scratch);
}

}  // namespace

void for_sum(Arguments arguments, Scratch& scratch) {
  sum_of(arguments, arguments.size() > 3 ? arguments[3] : c10::IValue(), scratch);
}

// The product of everything has its dtype where the others have the dimensions.
void for_product(Arguments arguments, Scratch& scratch) {
  if (arguments.size() > 3) {
    for_sum(arguments, scratch);
  } else {
    sum_of(arguments.slice(0, 1), arguments.size() > 1 ? arguments[1] : c10::IValue(), scratch);
  }
}

// The order of the norm stands before the dimensions.
void for_norm(Arguments arguments, Scratch& scratch) {
  std::vector<c10::IValue> shifted{arguments[0]};
  if (arguments.size() > 2) {
    shifted.push_back(arguments[2]);
  }
  sum_of(shifted, c10::IValue(), scratch);
}

void for_extreme(Arguments arguments, Scratch& scratch) {
  reduce(arguments, arguments[0].toTensor().element_size(), scratch);
}

// ATen/native/cuda/ReduceMaxValuesKernel.cu: with a dimension each value has its index.
void for_maximum(Arguments arguments, Scratch& scratch) {
  if (arguments.size() > 1 && arguments[1].isInt()) {
    for_wide(arguments, scratch);
  } else {
    for_extreme(arguments.slice(0, 1), scratch);
  }
}

void for_both_extremes(Arguments arguments, Scratch& scratch) {
  reduce(arguments, 2 * arguments[0].toTensor().element_size(), scratch);
}

void for_wide(Arguments arguments, Scratch& scratch) {
  constexpr int64_t value_and_index = 16;
  reduce(arguments, value_and_index, scratch);
}

// ATen/native/cuda/SummaryOps.cu: the least and the greatest are looked for first.
void for_bincount(Arguments arguments, Scratch&) {
  for (int extreme = 0; extreme < 2; ++extreme) {
    Scratch its;
    take_extreme(arguments, its);
  }
}

void for_histogram(Arguments arguments, Scratch& scratch) {
  if (arguments[2].toScalar().toDouble() == arguments[3].toScalar().toDouble()) {
    {
      Scratch of_the_least;
      take_extreme(arguments, of_the_least);
    }
    take_extreme(arguments, scratch);
  }
}

// ATen/native/cuda/RenormKernel.cu by ATen/native/Normalization.cpp, renorm_out: a norm for each slice.
void for_renorm(Arguments arguments, Scratch& scratch) {
  const at::Tensor& self = arguments[0].toTensor();
  const int64_t kept = at::maybe_wrap_dim(arguments[2].toInt(), self.dim());
  std::vector<int64_t> reduced;
  for (int64_t dimension = 0; dimension < self.dim(); ++dimension) {
    if (dimension != kept) {
      reduced.push_back(dimension);
    }
  }
  const int64_t bytes = std::max<int64_t>(4, self.element_size());
  take(scratch, self.size(kept) * bytes);
  const std::vector<c10::IValue> norm{self, reduced};
  reduce(norm, bytes, scratch);
}

// ATen/native/cuda/Loss.cu: the loss of each element, before it is reduced.
void for_loss(Arguments arguments, Scratch& scratch) {
  if (arguments.size() > 2 && arguments[2].isInt() && arguments[2].toInt() != at::Reduction::None) {
    const at::Tensor& self = arguments[0].toTensor();
    take(scratch, self.numel() * self.element_size());
    sum_of(arguments.slice(0, 1), c10::IValue(), scratch);
  }
}

}  // namespace vgpu
