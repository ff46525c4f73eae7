// Operators whose CUDA kernels have results of their own that no CPU kernel gives.
#pragma once

#include <torch/library.h>

namespace vgpu {

void register_special(torch::Library& library);

// Let scaled_dot_product_attention choose as on a card.
void register_attention_choice();

}  // namespace vgpu
