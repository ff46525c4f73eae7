// Normalisation and softmax: what the CPU's kernels save, take or refuse otherwise than CUDA's.
#include <ATen/ATen.h>

#include <array>
#include <initializer_list>
#include <tuple>
#include <vector>

#include "fallback.h"
#include "memory.h"
#include "special.h"

namespace vgpu {
namespace {

using at::Tensor;

// ATen/native/cuda/Normalization.cu, batch_norm_cuda: evaluation saves mean and deviation too. The
// CPU's kernel does not. Statistics that follow from values nobody knows are not known either.
void native_batch_norm(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
                       torch::jit::Stack* stack) {
  const Tensor input = torch::jit::peek(*stack, 0, 8).toTensor();
  const std::array<c10::IValue, 2> running{torch::jit::peek(*stack, 3, 8),
                                           torch::jit::peek(*stack, 4, 8)};
  const bool training = torch::jit::peek(*stack, 5, 8).toBool();
  fallback(op, keys, stack);
  for (size_t i : {0, 1}) {
    c10::IValue& saved = torch::jit::peek(*stack, 1 + i, 3);
    if (input.dim() > 1 && saved.isTensor() && saved.toTensor().defined() &&
        saved.toTensor().numel() == 0) {
      const auto dtype = input.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
      saved = at::empty({input.size(1)}, input.options().dtype(dtype));
    }
  }
  const Block* normalised = block_of(torch::jit::peek(*stack, 0, 3).toTensor());
  if (!training || normalised == nullptr || normalised->values == Values::real) {
    return;
  }
  for (const c10::IValue& statistic : running) {
    if (statistic.isTensor() && statistic.toTensor().defined()) {
      set_unknown(*block_of(statistic.toTensor()));
    }
  }
}

// In evaluation the backward reads none of what was saved, and the CPU's kernel takes it in the
// input's own dtype only.
void native_batch_norm_backward(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
                                torch::jit::Stack* stack) {
  if (!torch::jit::peek(*stack, 7, 10).toBool()) {
    torch::jit::peek(*stack, 5, 10) = c10::IValue();
    torch::jit::peek(*stack, 6, 10) = c10::IValue();
  }
  fallback(op, keys, stack);
}

bool all_real(std::initializer_list<Tensor> tensors) {
  for (const Tensor& tensor : tensors) {
    Block* block = tensor.is_cuda() ? block_of(tensor) : nullptr;
    if (block != nullptr && !make_real(*block)) {
      return false;
    }
  }
  return true;
}

// ATen/native/cuda/SoftMax.cu: of half precision in, single precision out, which the CPU refuses.
template <bool logarithm>
void softmax(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  const Tensor self = torch::jit::peek(*stack, 0, 4).toTensor();
  Tensor out = torch::jit::peek(*stack, 3, 4).toTensor();
  if (!torch::jit::peek(*stack, 2, 4).toBool() || out.sizes() != self.sizes() ||
      !all_real({self, out})) {
    fallback(op, keys, stack);
    return;
  }
  const int64_t dimension = torch::jit::peek(*stack, 1, 4).toInt();
  const Tensor wide = on_host(self).to(at::kFloat);
  on_host(out).copy_(logarithm ? at::_log_softmax(wide, dimension, false)
                               : at::_softmax(wide, dimension, false));
  torch::jit::drop(*stack, 4);
  torch::jit::push(*stack, out);
}

template <bool logarithm>
void softmax_backward(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
                      torch::jit::Stack* stack) {
  const Tensor grad = torch::jit::peek(*stack, 0, 5).toTensor();
  const Tensor output = torch::jit::peek(*stack, 1, 5).toTensor();
  Tensor out = torch::jit::peek(*stack, 4, 5).toTensor();
  if (torch::jit::peek(*stack, 3, 5).toScalarType() == grad.scalar_type() ||
      out.sizes() != grad.sizes() || !all_real({grad, output, out})) {
    fallback(op, keys, stack);
    return;
  }
  const int64_t dimension = torch::jit::peek(*stack, 2, 5).toInt();
  const Tensor from = on_host(grad), to = on_host(output);
  on_host(out).copy_(logarithm
                         ? at::_log_softmax_backward_data(from, to, dimension, at::kFloat)
                         : at::_softmax_backward_data(from, to, dimension, at::kFloat));
  torch::jit::drop(*stack, 5);
  torch::jit::push(*stack, out);
}

// ATen/native/cuda/layer_norm_kernel.cu, _fused_rms_norm_backward_cuda. With h = x * rstd and
// g = grad * weight the input's gradient is rstd * (g - h * mean(g * h)), the weight's sum(grad * h).
std::tuple<Tensor, Tensor> rms_norm_backward(const Tensor& grad, const Tensor& input,
                                             at::IntArrayRef normalised, const Tensor& rstd,
                                             const Maybe& weight, std::array<bool, 2> wanted) {
  const auto leading = input.dim() - static_cast<int64_t>(normalised.size());
  std::vector<int64_t> within, across;
  std::vector<int64_t> shape(input.sizes().begin(), input.sizes().begin() + leading);
  for (int64_t dimension = 0; dimension < input.dim(); ++dimension) {
    (dimension < leading ? across : within).push_back(dimension);
  }
  shape.resize(input.dim(), 1);
  const auto wide = input.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const Tensor scale = on_host(rstd).to(wide).reshape(shape);
  const Tensor unit = on_host(input).to(wide) * scale;
  const Tensor from = on_host(grad).to(wide);
  Tensor of_input, of_weight;
  if (wanted[0]) {
    const Tensor weighted = given(weight) ? from * on_host(*weight).to(wide) : from;
    const Tensor mean = (weighted * unit).mean(within, /*keepdim=*/true);
    of_input = to_device((scale * (weighted - unit * mean)).to(input.scalar_type()));
  }
  if (wanted[1] && given(weight)) {
    const Tensor product = from * unit;
    of_weight = to_device((across.empty() ? product : product.sum(across)).to(weight->scalar_type()));
  }
  return {of_input, of_weight};
}

}  // namespace

void register_normalising(torch::Library& library) {
  library.impl("native_batch_norm", torch::CppFunction::makeFromBoxedFunction<&native_batch_norm>());
  library.impl("native_batch_norm_backward",
               torch::CppFunction::makeFromBoxedFunction<&native_batch_norm_backward>());
  library.impl("_softmax.out", torch::CppFunction::makeFromBoxedFunction<&softmax<false>>());
  library.impl("_log_softmax.out", torch::CppFunction::makeFromBoxedFunction<&softmax<true>>());
  library.impl("_softmax_backward_data.out",
               torch::CppFunction::makeFromBoxedFunction<&softmax_backward<false>>());
  library.impl("_log_softmax_backward_data.out",
               torch::CppFunction::makeFromBoxedFunction<&softmax_backward<true>>());
  library.impl("_fused_rms_norm_backward", &rms_norm_backward);
}

}  // namespace vgpu
