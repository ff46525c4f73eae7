// Memory of convolutions without cuDNN, and of batch normalisation.
#include <ATen/ATen.h>
#include <ATen/Context.h>

#include <algorithm>
#include <vector>

#include "rules.h"

namespace vgpu {
namespace {

bool by_cudnn() { return at::globalContext().userEnabledCuDNN(); }

// ATen/native/Convolution.cpp, expand_param_if_needed: one number counts for every dimension.
std::vector<int64_t> for_each_dimension(const c10::IValue& numbers, int64_t dimensions) {
  const std::vector<int64_t> given = numbers.toIntVector();
  return given.size() == 1 && dimensions > 0 ? std::vector<int64_t>(dimensions, given[0]) : given;
}

// How a kernel goes over one or two dimensions.
struct Steps {
  std::vector<int64_t> stride, padding, dilation;

  Steps(Arguments lists, int64_t dimensions)
      : stride(for_each_dimension(lists[0], dimensions)),
        padding(for_each_dimension(lists[1], dimensions)),
        dilation(for_each_dimension(lists[2], dimensions)) {}

  // False where PyTorch will refuse them.
  bool fit(int64_t dimensions) const {
    const auto at_least_one = [](const std::vector<int64_t>& numbers) {
      return std::all_of(numbers.begin(), numbers.end(), [](int64_t n) { return n >= 1; });
    };
    const auto size = static_cast<size_t>(dimensions);
    return stride.size() == size && padding.size() == size && dilation.size() == size &&
        at_least_one(stride) && at_least_one(dilation);
  }
};

// False where cuDNN is at work, nothing is to be done, or the call will be refused.
bool lays_out(const at::Tensor& input, const at::Tensor& weight, const Steps& steps) {
  return !by_cudnn() && (input.dim() == 3 || input.dim() == 4) && weight.dim() == input.dim() &&
      input.numel() > 0 && weight.numel() > 0 && steps.fit(input.dim() - 2);
}

// ATen/native/cuda/ConvolutionMM2d.cu, requires_columns: what works on single positions reads its input
// as it is.
bool pointwise(const at::Tensor& weight, const Steps& steps) {
  const auto all = [](at::IntArrayRef numbers, int64_t value) {
    return std::all_of(numbers.begin(), numbers.end(), [&](int64_t n) { return n == value; });
  };
  return all(weight.sizes().slice(2), 1) && all(steps.stride, 1) && all(steps.padding, 0) &&
      all(steps.dilation, 1);
}

// The elements of each sample's positions, of one or two dimensions.
int64_t positions(const at::Tensor& batch) {
  return batch.numel() / (batch.size(0) * batch.size(1));
}

// ATen/native/cuda/Normalization.cuh, batch_norm_use_channels_last_kernels: channels lie together.
bool channels_lie_together(const at::Tensor& input) {
  return input.is_contiguous(at::MemoryFormat::ChannelsLast) ||
      input.is_contiguous(at::MemoryFormat::ChannelsLast3d) ||
      (input.is_contiguous() && input.stride(1) == 1);
}

// ATen/native/cuda/Normalization.cuh, flexible_launch_configs: blocks that share a column hand each
// other sums through memory.
void take_for_columns(Scratch& scratch, const at::Tensor& input, int64_t sums) {
  constexpr int64_t widest = 32, most_threads = 512, elements = 16, most_blocks = 128, worth_it = 8;
  const int64_t channels = input.size(1), rows = input.numel() / channels;
  int64_t wide = std::min(power_of_two_below(channels), widest);
  const int64_t high = std::min(power_of_two_below(divide_up(rows, elements)), most_threads / wide);
  if (wide * high != most_threads) {
    wide = std::min(power_of_two_below(channels), most_threads / high);
  }
  const int64_t blocks = std::min(divide_up(rows, high * elements), most_blocks);
  if (blocks >= worth_it) {
    take(scratch, sums * channels * blocks * 4);
    take(scratch, divide_up(channels, wide) * 4);
  }
}

// Batch normalisation of a vector for each sample is PyTorch's own, of images cuDNN's.
bool normalised_by_cudnn(const at::Tensor& input) { return by_cudnn() && input.dim() > 2; }

}  // namespace

// ATen/native/cuda/ConvolutionMM2d.cu and NaiveConvolutionTranspose2d.cu: without cuDNN the columns of
// one sample are laid out; the transposed form adds the bias as a product with ones.
void for_convolution(Arguments arguments, Scratch& scratch) {
  const at::Tensor& input = arguments[0].toTensor();
  const at::Tensor& weight = arguments[1].toTensor();
  const int64_t dimensions = input.dim() - 2;
  const Steps steps(arguments.slice(3, 3), dimensions);
  const bool transposed = arguments[6].toBool(), biased = arguments[2].isTensor();
  const std::vector<int64_t> more = for_each_dimension(arguments[7], dimensions);
  if (!lays_out(input, weight, steps) || more.size() != static_cast<size_t>(dimensions) ||
      (!transposed && pointwise(weight, steps))) {
    return;
  }
  const int64_t kernel = weight.numel() / weight.size(0);
  int64_t columns = 1;
  for (int64_t i = 0; i < dimensions; ++i) {
    const int64_t reach = steps.dilation[i] * (weight.size(2 + i) - 1) + 1;
    const int64_t room = input.size(2 + i) + 2 * steps.padding[i] - reach;
    const int64_t places = transposed
        ? (input.size(2 + i) - 1) * steps.stride[i] - 2 * steps.padding[i] + reach + more[i]
        : (room < 0 ? 0 : room / steps.stride[i] + 1);
    if (places < 1) {
      return;  // will be refused
    }
    columns *= places;
  }
  take(scratch, kernel * (transposed ? positions(input) : columns) * input.element_size());
  if (transposed && biased) {
    take(scratch, columns * input.element_size());
  }
}

void for_convolution_backward(Arguments arguments, Scratch& scratch) {
  const at::Tensor& gradient = arguments[0].toTensor();
  const at::Tensor& input = arguments[1].toTensor();
  const at::Tensor& weight = arguments[2].toTensor();
  take_copy(scratch, arguments[0]);
  const Steps steps(arguments.slice(4, 3), input.dim() - 2);
  if (!lays_out(input, weight, steps) || gradient.numel() == 0 || pointwise(weight, steps)) {
    return;
  }
  const bool transposed = arguments[7].toBool();
  take(scratch, weight.numel() / weight.size(0) * positions(transposed ? input : gradient) *
                    input.element_size());
}

// ATen/native/cuda/Normalization.cuh, batch_norm_stats_channels_last_cuda_template.
void for_batch_norm(Arguments arguments, Scratch& scratch) {
  const at::Tensor& input = arguments[0].toTensor();
  if (arguments[5].toBool() && input.numel() > 0 && !normalised_by_cudnn(input) &&
      channels_lie_together(input)) {
    take_for_columns(scratch, input, 4);
  }
}

// ATen/native/cuda/Normalization.cu, batch_norm_backward_cuda: one kernel for everything, unless
// channels lie together; then two sums a channel come first. cuDNN has a workspace.
void for_batch_norm_backward(Arguments arguments, Scratch& scratch) {
  const at::Tensor& input = arguments[1].toTensor();
  if (input.numel() == 0) {
    return;
  }
  if (normalised_by_cudnn(input)) {
    take(scratch, 1);
  } else if (channels_lie_together(input)) {
    take(scratch, input.size(1) * 4);
    take(scratch, input.size(1) * 4);
    take_for_columns(scratch, input, 2);
  }
}

}  // namespace vgpu
