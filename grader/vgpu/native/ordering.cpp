// Memory of what sorts, scans or searches: sort, topk, nonzero, randperm, index_put, embedding.
#include <ATen/ATen.h>
#include <ATen/WrapDimUtils.h>
#include <ATen/native/IndexingUtils.h>

#include <algorithm>
#include <cmath>

#include "cub.h"
#include "rules.h"

namespace vgpu {
namespace {

constexpr int64_t index_bytes = 8;

// ATen/native/cuda/SortStable.cu, launch_stable_sort_kernel: one sort for each long segment; few
// segments are sorted together by value and then by segment; many by segments.
void take_for_segments(Scratch& scratch, at::ScalarType type, int64_t segments, int64_t length) {
  constexpr int64_t fills_the_card = 1'000'000, few = 128, pair_bytes = 8;
  const int64_t count = segments * length, key_bytes = c10::elementSize(type);
  if (segments == 1 || length >= fills_the_card) {
    take(scratch, length * index_bytes);
    for (int64_t segment = 0; segment < segments; ++segment) {
      pass(cub::sort_bytes(length, type, index_bytes));
    }
  } else if (segments < few) {
    const auto bits = static_cast<int64_t>(std::ceil(std::log2(segments)));
    take(scratch, count * pair_bytes);
    take(scratch, count * pair_bytes);
    {
      Scratch by_value;
      take(by_value, count * key_bytes);
      take(by_value, cub::sort_bytes(count, type, pair_bytes));
    }
    pass(cub::sort_bytes(count, at::kLong, 0, bits));
  } else {
    take(scratch, count * index_bytes);
    pass(cub::segmented_sort_bytes(count, key_bytes, index_bytes));
  }
}

bool is_innermost(const at::Tensor& self, int64_t along) {
  for (int64_t dimension = 0; dimension < self.dim(); ++dimension) {
    if (self.size(dimension) > 1 && self.stride(dimension) < self.stride(along)) {
      return false;
    }
  }
  return true;
}

// ATen/native/cuda/TensorTopK.cu, should_use_multiblock.
bool several_blocks_a_slice(int64_t slices, int64_t length) {
  struct Range {
    int64_t most_slices, least_length;
  };
  constexpr Range ranges[] = {{20, 20000}, {40, 10000}, {80, 8000},          {199, 5000},
                              {799, 3000}, {4000, 800}, {UINT32_MAX, 400}};
  for (const Range& range : ranges) {
    if (slices <= range.most_slices) {
      return length >= range.least_length;
    }
  }
  return false;
}

// ATen/cuda/cub.h, get_num_bits.
int64_t bits_of(int64_t largest) {
  int64_t bits = 1;
  for (; largest > 1; largest >>= 1) {
    ++bits;
  }
  return bits;
}

c10::List<std::optional<at::Tensor>> optional_tensors(const c10::IValue& list) {
  c10::List<std::optional<at::Tensor>> tensors;
  for (const c10::IValue& item : list.toListRef()) {
    tensors.push_back(item.isNone() ? std::nullopt : std::optional<at::Tensor>(item.toTensor()));
  }
  return tensors;
}

// ATen/native/cuda/Indexing.cu, wrapIndexOnce: the index in the kernel's memory, and its check.
at::Tensor wrapped(const at::Tensor& index, int64_t size, bool checked) {
  if (checked && index.numel() > 0) {
    at::lt(index.max(), size);
    at::ge(index.min(), -size);
  }
  return index.remainder(size);
}

// The dtype of a scan's result: its out= tensor's, the one asked for, or one that holds sums.
at::ScalarType type_of_scan(Arguments arguments) {
  const c10::IValue& last = arguments.back();
  if (arguments.size() > 2 && last.isTensor()) {
    return last.toTensor().scalar_type();
  }
  if (arguments.size() > 2 && arguments[2].isInt()) {
    return arguments[2].toScalarType();
  }
  const at::ScalarType type = arguments[0].toTensor().scalar_type();
  return at::isIntegralType(type, /*includeBool=*/true) ? at::kLong : type;
}

struct LinearIndex {
  at::Tensor index;   // of what lies together in self
  int64_t slice = 1;  // elements of it
};

// ATen/native/cuda/Indexing.cu, computeLinearIndex; masks become indices first. The tensors made on the
// way are the kernel's own.
LinearIndex linear_index(const at::Tensor& self, const c10::IValue& list, bool checked) {
  const auto indices =
      at::expand_outplace(at::native::expandTensors(self, optional_tensors(list)));
  LinearIndex linear;
  int64_t below = self.numel();
  for (int64_t i = 0; i < self.dim(); ++i) {
    below /= self.size(i);
    if (i < static_cast<int64_t>(indices.size()) && indices[i].defined()) {
      const at::Tensor part =
          wrapped(indices[i], self.size(i), checked).mul(below).to(self.device());
      linear.index = linear.index.defined() ? linear.index.add_(part) : part;
    } else if (linear.index.defined()) {
      linear.slice *= self.size(i);
    }
  }
  return linear;
}

}  // namespace

// ATen/native/cuda/Sort.cpp, sort_cuda_kernel. Short segments are sorted in place, beside a range of
// indices; long ones must lie at a stretch, so others are copied and sorted into temporaries.
void for_sort(Arguments arguments, Scratch& scratch) {
  constexpr int64_t short_segment = 4096;
  const at::Tensor& self = arguments[0].toTensor();
  if (self.dim() == 0 || self.numel() == 0) {
    return;
  }
  const auto dimension = std::find_if(arguments.begin() + 1, arguments.end(),
                                      [](const c10::IValue& each) { return each.isInt(); });
  const int64_t along =
      at::maybe_wrap_dim(dimension == arguments.end() ? -1 : dimension->toInt(), self.dim());
  const int64_t length = self.size(along);
  if (length <= short_segment) {
    take(scratch, length * index_bytes);
    return;
  }
  if (!self.is_non_overlapping_and_dense() || self.stride(along) != 1) {
    take(scratch, self.numel() * self.element_size());
    if (!is_innermost(self, along)) {
      take(scratch, self.numel() * self.element_size());
      take(scratch, self.numel() * index_bytes);
    }
  }
  take_for_segments(scratch, self.scalar_type(), self.numel() / length, length);
}

// ATen/native/cuda/TensorTopK.cu, mbtopk::launch.
void for_topk(Arguments arguments, Scratch& scratch) {
  constexpr int64_t threads = 256, digits = 256, blocks_a_processor = 6;
  constexpr int64_t least_items = 4, most_items = 64;
  const at::Tensor& self = arguments[0].toTensor();
  take_copy(scratch, arguments[0]);
  if (self.dim() == 0 || self.numel() == 0) {
    return;
  }
  const int64_t length = self.size(at::maybe_wrap_dim(arguments[2].toInt(), self.dim()));
  const int64_t slices = self.numel() / length;
  if (!several_blocks_a_slice(slices, length)) {
    return;
  }
  const int64_t at_once = architecture().processors * blocks_a_processor * threads;
  const int64_t items = std::clamp(divide_up(self.numel(), at_once), least_items, most_items);
  const int64_t blocks = slices * divide_up(length, items * threads);
  const int64_t pattern_bytes = std::max<int64_t>(4, self.element_size());
  for (int64_t nbytes : {slices * self.element_size(), 2 * slices * 4, 2 * slices * pattern_bytes,
                         blocks * digits * 2, slices * digits * 4, blocks * 4, blocks * 4}) {
    take(scratch, nbytes);
  }
  pass(cub::scan_by_key_bytes(blocks));
  pass(cub::scan_by_key_bytes(blocks));
}

// ATen/native/ReduceOps.cpp, impl_func_cum_ops, and cuda/ScanUtils.cuh, scan_dim: what is summed is
// first converted and then made contiguous; all of a tensor goes through CUB.
void for_scan(Arguments arguments, Scratch& scratch) {
  const at::Tensor& self = arguments[0].toTensor();
  if (self.dim() == 0 || self.numel() == 0) {
    return;
  }
  const at::ScalarType type = type_of_scan(arguments);
  const int64_t width = c10::elementSize(type);
  bool contiguous = self.is_contiguous();
  if (type != self.scalar_type()) {
    take(scratch, self.numel() * width);
    contiguous = contiguous || !self.is_non_overlapping_and_dense();
  }
  if (!contiguous) {
    take(scratch, self.numel() * width);
  }
  if (self.numel() == self.size(at::maybe_wrap_dim(arguments[1].toInt(), self.dim()))) {
    take(scratch, cub::scan_bytes(self.numel(), width));
  }
}

// ATen/native/cuda/Nonzero.cu: they are counted, and then found.
void for_nonzero(Arguments arguments, Scratch& scratch) {
  const at::Tensor& self = arguments[0].toTensor();
  take_copy(scratch, arguments[0]);
  take(scratch, sizeof(int));
  pass(cub::count_bytes(self.numel()));
  if (self.dim() > 0) {
    take(scratch, cub::select_flagged_bytes(self.numel()));
  }
}

// ATen/native/cuda/Randperm.cu: as many bits as make the same key for two elements improbable.
int64_t bits_of_random_keys(int64_t count) {
  const auto n = static_cast<double>(count);
  return std::min<int64_t>(64, std::ceil(std::log2(n - (6 * n * n + 1) / (12 * std::log(0.9)))));
}

// ATen/native/cuda/Randperm.cu: a range in the result's dtype, sorted by random keys.
void take_for_randperm(Scratch& scratch, int64_t count, at::ScalarType type) {
  const int64_t bits = bits_of_random_keys(count);
  const at::ScalarType key = bits <= 32 ? at::kInt : at::kLong;
  const int64_t width = c10::elementSize(type);
  take(scratch, count * width);
  take(scratch, count * c10::elementSize(key));
  take(scratch, count * c10::elementSize(key));
  take(scratch, cub::sort_bytes(count, key, width, bits));
}

// ATen/native/cuda/Indexing.cu, index_put_with_sort_kernel: where values add up, indices are sorted.
void for_index_put(Arguments arguments, Scratch& scratch) {
  const at::Tensor& self = arguments[0].toTensor();
  const at::Tensor& values = arguments[2].toTensor();
  const bool sorts = arguments[3].toBool() || at::globalContext().deterministicAlgorithms();
  if (!self.is_cuda() || self.numel() == 0 || !sorts) {
    return;
  }
  const bool checked = arguments.size() < 5 || !arguments[4].toBool();
  const auto [index, slice] = linear_index(self, arguments[1], checked);
  if (!index.defined() || index.numel() == 0) {
    return;
  }
  const int64_t count = index.numel();
  take_copy(scratch, arguments[0]);
  if (values.numel() < count * slice || !values.is_contiguous()) {
    take(scratch, count * slice * values.element_size());
  }
  for (int copy = 0; copy < 3; ++copy) {
    take(scratch, count * index_bytes);  // sorted, where each was before, and a range
  }
  take(scratch, cub::sort_bytes(count, at::kLong, index_bytes, bits_of((self.numel() - 1) / slice)));
}

// ATen/native/cuda/Embedding.cu, embedding_dense_backward_cuda, and EmbeddingBackwardKernel.cu,
// embedding_backward_cuda_kernel: many indices are sorted, and their rows summed in pieces.
void for_embedding_backward(Arguments arguments, Scratch& scratch) {
  constexpr int64_t few = 3072, rows_a_piece = 10;
  const at::Tensor& gradient = arguments[0].toTensor();
  const at::Tensor& indices = arguments[1].toTensor();
  const int64_t count = indices.numel(), weights = arguments[2].toInt();
  take_copy(scratch, arguments[0]);
  if (count <= few && !arguments[4].toBool()) {
    return;
  }
  const int64_t wide = indices.element_size();
  const int64_t segments = std::min(count, weights), pieces = count / rows_a_piece + segments;
  take(scratch, count * wide);
  take(scratch, count * wide);
  {
    Scratch range;
    take(range, count * wide);
    take(range, cub::sort_bytes(count, indices.scalar_type(), wide, bits_of(weights)));
  }
  take(scratch, segments * wide);
  take(scratch, index_bytes);
  {
    Scratch keys;
    take(keys, count * wide);
    take(keys, cub::unique_by_key_bytes(count, wide));
  }
  take(scratch, segments * wide);
  take(scratch, segments * wide);
  pass(cub::scan_bytes(segments, wide));
  take(scratch, index_bytes);
  take(scratch, pieces * wide);
  take(scratch, pieces * gradient.size(-1) * std::max<int64_t>(4, gradient.element_size()));
}

}  // namespace vgpu
