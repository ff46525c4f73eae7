// Operators whose CUDA kernels have results of their own that no CPU kernel gives.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <optional>

namespace vgpu {

using Maybe = std::optional<at::Tensor>;

// The values of a device tensor as a CPU tensor. Throws where it is too large to be computed with.
at::Tensor on_host(const at::Tensor& tensor);
bool given(const Maybe& tensor);

void register_special(torch::Library& library);
void register_normalising(torch::Library& library);
void register_composed(torch::Library& library);

// Let scaled_dot_product_attention choose as on a card.
void register_attention_choice();

}  // namespace vgpu
