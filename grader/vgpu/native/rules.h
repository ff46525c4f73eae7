// What operators take beside their results, by topic; `scratch.cpp` says which rule is whose.
#pragma once

#include "scratch.h"

namespace vgpu {

using Arguments = c10::ArrayRef<c10::IValue>;

// reductions.cpp
void for_sum(Arguments arguments, Scratch& scratch);
void for_product(Arguments arguments, Scratch& scratch);
void for_norm(Arguments arguments, Scratch& scratch);
void for_extreme(Arguments arguments, Scratch& scratch);
void for_maximum(Arguments arguments, Scratch& scratch);
void for_both_extremes(Arguments arguments, Scratch& scratch);
void for_wide(Arguments arguments, Scratch& scratch);  // pairs, or the parts of Welford's algorithm
void for_bincount(Arguments arguments, Scratch& scratch);
void for_histogram(Arguments arguments, Scratch& scratch);
void for_renorm(Arguments arguments, Scratch& scratch);
void for_loss(Arguments arguments, Scratch& scratch);

// ordering.cpp
void for_sort(Arguments arguments, Scratch& scratch);
void for_topk(Arguments arguments, Scratch& scratch);
void for_scan(Arguments arguments, Scratch& scratch);
void for_nonzero(Arguments arguments, Scratch& scratch);
int64_t bits_of_random_keys(int64_t count);
void take_for_randperm(Scratch& scratch, int64_t count, at::ScalarType type);
void for_index_put(Arguments arguments, Scratch& scratch);
void for_embedding_backward(Arguments arguments, Scratch& scratch);

// convolving.cpp
void for_convolution(Arguments arguments, Scratch& scratch);
void for_convolution_backward(Arguments arguments, Scratch& scratch);
void for_batch_norm(Arguments arguments, Scratch& scratch);
void for_batch_norm_backward(Arguments arguments, Scratch& scratch);

}  // namespace vgpu
