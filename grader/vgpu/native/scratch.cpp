#include "scratch.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>

#include <algorithm>
#include <string>
#include <unordered_map>

#include "memory.h"

namespace vgpu {
namespace {

using Arguments = c10::ArrayRef<c10::IValue>;

int64_t processors = 40;
int64_t threads_a_processor = 1024;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t power_of_two_below(int64_t n) {
  int64_t power = 1;
  while (power * 2 <= n) {
    power *= 2;
  }
  return power;
}

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
  const int64_t wanted_grid = processors * (threads_a_processor / (width * height));
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

int64_t sum_bytes(const at::Tensor& self) {
  if (self.is_floating_point() || self.is_complex()) {
    return std::max<int64_t>(4, self.element_size());
  }
  return 8;
}

void for_sum(Arguments arguments, Scratch& scratch) {
  if (const auto shape = reduction_of(arguments)) {
    take_for_reduction(scratch, *shape, sum_bytes(arguments[0].toTensor()));
  }
}
void for_norm(Arguments arguments, Scratch& scratch) {
  std::vector<c10::IValue> shifted{arguments[0]};
  if (arguments.size() > 2) {
    shifted.push_back(arguments[2]);  // the order of the norm stands between
  }
  for_sum(shifted, scratch);
}
void for_extreme(Arguments arguments, Scratch& scratch) {
  if (const auto shape = reduction_of(arguments)) {
    take_for_reduction(scratch, *shape, arguments[0].toTensor().element_size());
  }
}
// max() of everything; max(dim) gives indices too and is another kernel.
void for_all_of_it(Arguments arguments, Scratch& scratch) {
  if (arguments.size() < 2 || !arguments[1].isInt()) {
    for_extreme(arguments.slice(0, 1), scratch);
  }
}
// A value and its index, or the four parts of Welford's algorithm.
void for_wide(Arguments arguments, Scratch& scratch) {
  if (const auto shape = reduction_of(arguments)) {
    take_for_reduction(scratch, *shape, 16);
  }
}

// Kernels that read a contiguous gradient: one that autograd has expanded is copied.
void for_gradient(Arguments arguments, Scratch& scratch) { take_copy(scratch, arguments[0]); }

// ATen/native/cuda/Normalization.cuh, batch_norm_backward_cuda_template: two sums per channel.
void for_batch_norm_backward(Arguments arguments, Scratch& scratch) {
  const at::Tensor& input = arguments[1].toTensor();
  take(scratch, input.size(1) * 4);
  take(scratch, input.size(1) * 4);
}

// ATen/native/cuda/Sort.cpp: an arange for the indices; beyond 4096 elements cub's radix sort, which
// keeps a second copy of keys and indices.
void for_sort(Arguments arguments, Scratch& scratch) {
  constexpr int64_t small = 4096, bookkeeping = 16384;
  const at::Tensor& self = arguments[0].toTensor();
  if (self.dim() == 0 || self.numel() == 0) {
    return;
  }
  const auto dimension = std::find_if(arguments.begin() + 1, arguments.end(),
                                      [](const c10::IValue& each) { return each.isInt(); });
  const int64_t along = dimension == arguments.end() ? -1 : dimension->toInt();
  const int64_t length = self.size(along);
  take(scratch, length * 8);
  if (length > small) {
    take(scratch, self.numel() * (self.element_size() + 8) + bookkeeping);
  }
}

// ATen/native/cuda/ConvolutionMM2d.cu: without cuDNN the columns of one sample are laid out.
void take_columns(Scratch& scratch, const at::Tensor& input, const at::Tensor& weight,
                  const at::Tensor& output) {
  if (input.dim() != 4 || at::globalContext().userEnabledCuDNN()) {
    return;
  }
  take(scratch, input.size(1) * weight.size(2) * weight.size(3) * output.size(2) * output.size(3) *
                    input.element_size());
}

void for_convolution(Arguments arguments, Scratch& scratch) {
  const at::Tensor& input = arguments[0].toTensor();
  const at::Tensor& weight = arguments[1].toTensor();
  if (input.dim() != 4 || arguments[6].toBool() || at::globalContext().userEnabledCuDNN()) {
    return;
  }
  const auto stride = arguments[3].toIntVector(), padding = arguments[4].toIntVector(),
             dilation = arguments[5].toIntVector();
  int64_t columns = input.size(1) * weight.size(2) * weight.size(3) * input.element_size();
  for (int64_t i = 0; i < 2; ++i) {
    columns *= (input.size(2 + i) + 2 * padding[i] - dilation[i] * (weight.size(2 + i) - 1) - 1) /
            stride[i] +
        1;
  }
  take(scratch, columns);
}

void for_convolution_backward(Arguments arguments, Scratch& scratch) {
  take_copy(scratch, arguments[0]);
  take_columns(scratch, arguments[1].toTensor(), arguments[2].toTensor(), arguments[0].toTensor());
}

// ATen/native/cuda/Loss.cu: the loss of each element, before it is reduced.
void for_loss(Arguments arguments, Scratch& scratch) {
  if (arguments.size() > 2 && arguments[2].isInt() && arguments[2].toInt() != 0) {
    const at::Tensor& self = arguments[0].toTensor();
    take(scratch, self.numel() * self.element_size());
  }
}

// A copy of the input, as recorded.
void for_unfold(Arguments arguments, Scratch& scratch) {
  take(scratch, arguments[0].toTensor().numel() * arguments[0].toTensor().element_size());
}

}  // namespace

void take(Scratch& scratch, size_t nbytes) {
  if (nbytes > 0) {
    scratch.push_back(allocate(nbytes, at::ScalarType::Undefined));
  }
}

void take_copy(Scratch& scratch, const c10::IValue& argument) {
  if (argument.isTensor() && argument.toTensor().defined() &&
      !argument.toTensor().is_contiguous()) {
    take(scratch, argument.toTensor().numel() * argument.toTensor().element_size());
  }
}

void take_for_randperm(Scratch& scratch, int64_t count) {
  for (int64_t size : {8, 8, 8, 1}) {
    take(scratch, count * size);
  }
}

void set_multi_processors(int64_t count, int64_t threads_each) {
  processors = count;
  threads_a_processor = threads_each;
}

ScratchRule scratch_rule(const std::string& operator_name) {
  static const auto* rules = new std::unordered_map<std::string, ScratchRule>{
      {"aten::sum", &for_sum},
      {"aten::mean", &for_sum},
      {"aten::prod", &for_sum},
      {"aten::linalg_vector_norm", &for_norm},
      {"aten::norm", &for_norm},
      {"aten::max", &for_all_of_it},
      {"aten::min", &for_all_of_it},
      {"aten::amax", &for_extreme},
      {"aten::amin", &for_extreme},
      {"aten::all", &for_extreme},
      {"aten::any", &for_extreme},
      {"aten::argmax", &for_wide},
      {"aten::argmin", &for_wide},
      {"aten::std", &for_wide},
      {"aten::var", &for_wide},
      {"aten::native_layer_norm_backward", &for_gradient},
      {"aten::max_pool2d_with_indices_backward", &for_gradient},
      {"aten::embedding_dense_backward", &for_gradient},
      {"aten::native_batch_norm_backward", &for_batch_norm_backward},
      {"aten::sort", &for_sort},
      {"aten::convolution", &for_convolution},
      {"aten::convolution_backward", &for_convolution_backward},
      {"aten::huber_loss", &for_loss},
      {"aten::im2col", &for_unfold},
  };
  const auto found = rules->find(operator_name);
  return found == rules->end() ? nullptr : found->second;
}

}  // namespace vgpu
