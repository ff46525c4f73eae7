#include "scratch.h"

#include <string>
#include <unordered_map>

#include "memory.h"
#include "rules.h"

namespace vgpu {
namespace {

// Kernels that read a contiguous gradient: one that autograd has expanded is copied.
void for_gradient(Arguments arguments, Scratch& scratch) { take_copy(scratch, arguments[0]); }

// As much as the first tensor: ATen/native/cuda/SoftMax.cu, softmax_backward_cuda_out, takes the product
// of gradient and output; im2col a copy of its input, as recorded.
void for_as_much_again(Arguments arguments, Scratch& scratch) {
  const at::Tensor& first = arguments[0].toTensor();
  take(scratch, first.numel() * first.element_size());
}

}  // namespace

void take(Scratch& scratch, size_t nbytes) {
  if (nbytes > 0) {
    scratch.push_back(allocate(nbytes, at::ScalarType::Undefined));
  }
}

void pass(size_t nbytes) {
  Scratch scratch;
  take(scratch, nbytes);
}

void take_copy(Scratch& scratch, const c10::IValue& argument) {
  if (argument.isTensor() && argument.toTensor().defined() &&
      !argument.toTensor().is_contiguous()) {
    take(scratch, argument.toTensor().numel() * argument.toTensor().element_size());
  }
}

Architecture& architecture() {
  static Architecture card;
  return card;
}

ScratchRule scratch_rule(const std::string& operator_name) {
  static const auto* rules = new std::unordered_map<std::string, ScratchRule>{
      {"aten::sum", &for_sum},
      {"aten::nansum", &for_sum},
      {"aten::mean", &for_sum},
      {"aten::prod", &for_product},
      {"aten::linalg_vector_norm", &for_norm},
      {"aten::norm", &for_norm},
      {"aten::renorm", &for_renorm},
      {"aten::max", &for_maximum},
      {"aten::min", &for_maximum},
      {"aten::amax", &for_extreme},
      {"aten::amin", &for_extreme},
      {"aten::aminmax", &for_both_extremes},
      {"aten::all", &for_extreme},
      {"aten::any", &for_extreme},
      {"aten::argmax", &for_wide},
      {"aten::argmin", &for_wide},
      {"aten::std", &for_wide},
      {"aten::var", &for_wide},
      {"aten::bincount", &for_bincount},
      {"aten::histc", &for_histogram},
      {"aten::sort", &for_sort},
      {"aten::topk", &for_topk},
      {"aten::cumsum", &for_scan},
      {"aten::cumprod", &for_scan},
      {"aten::_logcumsumexp", &for_scan},
      {"aten::nonzero", &for_nonzero},
      {"aten::_index_put_impl_", &for_index_put},
      {"aten::embedding_dense_backward", &for_embedding_backward},
      {"aten::_softmax_backward_data", &for_as_much_again},
      {"aten::native_layer_norm_backward", &for_gradient},
      {"aten::max_pool2d_with_indices_backward", &for_gradient},
      {"aten::native_batch_norm", &for_batch_norm},
      {"aten::native_batch_norm_backward", &for_batch_norm_backward},
      {"aten::convolution", &for_convolution},
      {"aten::convolution_backward", &for_convolution_backward},
      {"aten::huber_loss", &for_loss},
      {"aten::im2col", &for_as_much_again},
  };
  const auto found = rules->find(operator_name);
  return found == rules->end() ? nullptr : found->second;
}

}  // namespace vgpu
