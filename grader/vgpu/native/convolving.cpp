// Memory of convolutions without cuDNN, and of batch normalisation.
#include <ATen/ATen.h>
#include <ATen/Context.h>

#include <algorithm>

#include "rules.h"

namespace vgpu {
namespace {

bool by_cudnn() { return at::globalContext().userEnabledCuDNN(); }

// ATen/native/cuda/ConvolutionMM2d.cu, requires_columns: what works on single positions reads its input
// as it is.
bool pointwise(const at::Tensor& weight, at::IntArrayRef stride, at::IntArrayRef padding,
               at::IntArrayRef dilation) {
  const auto all = [](at::IntArrayRef numbers, int64_t value) {
    return std::all_of(numbers.begin(), numbers.end(), [&](int64_t n) { return n == value; });
  };
  return all(weight.sizes().slice(2), 1) && all(stride, 1) && all(padding, 0) && all(dilation, 1);
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
  if (by_cudnn() || (input.dim() != 3 && input.dim() != 4)) {
    return;
  }
  const bool transposed = arguments[6].toBool(), biased = arguments[2].isTensor();
  const auto stride = arguments[3].toIntVector(), padding = arguments[4].toIntVector(),
             dilation = arguments[5].toIntVector(), more = arguments[7].toIntVector();
  if (!transposed && pointwise(weight, stride, padding, dilation)) {
    return;
  }
  const int64_t kernel = weight.numel() / weight.size(0);
  int64_t columns = 1;
  for (int64_t i = 0; i < input.dim() - 2; ++i) {
    const int64_t reach = dilation[i] * (weight.size(2 + i) - 1) + 1;
    columns *= transposed
        ? (input.size(2 + i) - 1) * stride[i] - 2 * padding[i] + reach + more[i]
        : (input.size(2 + i) + 2 * padding[i] - reach) / stride[i] + 1;
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
  if (by_cudnn() || (input.dim() != 3 && input.dim() != 4) ||
      pointwise(weight, arguments[4].toIntVector(), arguments[5].toIntVector(),
                arguments[6].toIntVector())) {
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
