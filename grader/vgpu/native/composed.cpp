// Operators that CUDA makes of others, where the CPU has a kernel: the same others run here, and take
// what they take on a card.
#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "cub.h"
#include "fallback.h"
#include "memory.h"
#include "scratch.h"
#include "special.h"

namespace vgpu {
namespace {

using at::Tensor;
using Uniques = std::tuple<Tensor, Tensor, Tensor>;  // values, where each element went, counts

// Throw in PyTorch's words where a call's tensors are on two devices.
template <typename... Values>
void check_devices_of(const char* name, const char* overload, const Values&... values) {
  const c10::OperatorHandle op = c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
  check_call(op, torch::jit::Stack{values...});
}

// True where two tensors show the same elements of one storage.
bool same_elements(const Tensor& self, const Tensor& other) {
  return self.is_alias_of(other) && self.storage_offset() == other.storage_offset() &&
      self.dtype() == other.dtype() && self.strides() == other.strides() &&
      self.is_conj() == other.is_conj() && self.is_neg() == other.is_neg();
}

// ATen/native/cuda/Equal.cpp, cuda_equal: a tensor equals itself, and what is not a number in it too.
bool equal(const Tensor& self, const Tensor& other) {
  check_devices_of("aten::equal", "", self, other);
  if (self.sizes() != other.sizes()) {
    return false;
  }
  return self.numel() == 0 || same_elements(self, other) ||
      at::eq(self, other).all().item<bool>();
}

// ATen/native/TensorAdvancedIndexing.cpp, count_nonzero_cuda.
Tensor count_nonzero(const Tensor& self, at::IntArrayRef dimensions) {
  return at::ne(self, 0).sum(dimensions);
}

Tensor nan_of(const Tensor& self) {
  return at::full({}, std::numeric_limits<float>::quiet_NaN()).to(self.options());
}

// ATen/native/cuda/Sorting.cpp, median_impl: all is sorted, and what is not a number comes last.
Tensor median(const Tensor& self) {
  if (self.numel() == 0) {
    return nan_of(self);
  }
  const Tensor sorted = std::get<0>(self.flatten().sort());
  const Tensor last = sorted[-1];
  return at::where(last.isnan(), last, sorted[(self.numel() - 1) / 2]);
}

Tensor nanmedian(const Tensor& self) {
  if (self.numel() == 0) {
    return nan_of(self);
  }
  const Tensor sorted = std::get<0>(self.flatten().sort());
  const Tensor middle = at::div(at::rsub(sorted.isnan().sum(), self.numel() - 1), 2).to(at::kLong);
  return sorted.index_select(0, middle.view({1})).squeeze(0);
}

// ATen/native/cuda/IndexKernel.cpp, masked_select_out_cuda_impl.
Tensor masked_select(const Tensor& self, const Tensor& mask) {
  check_devices_of("aten::masked_select", "", self, mask);
  TORCH_CHECK(mask.scalar_type() == at::kBool, "masked_select: expected BoolTensor for mask");
  // In variables, since what needs no expanding comes back borrowed.
  const Tensor chosen = mask.dim() == 0 ? mask.unsqueeze(0) : mask;
  const Tensor values = self.dim() == 0 ? self.unsqueeze(0) : self;
  const auto [where, what] = at::expand_outplace(chosen, values);
  return at::index(*what, {*where});
}

// ATen/native/TensorCompare.cpp, isin_Tensor_Tensor_out: a few elements are compared with each; many
// are sorted among the others, and what equals its neighbour is in both.
Tensor isin(const Tensor& self, const Tensor& others, bool unique, bool invert) {
  check_devices_of("aten::isin", "Tensor_Tensor", self, others, unique, invert);
  Tensor out = at::empty(self.sizes(), self.options().dtype(at::kBool));
  const double few = 10.0 * std::pow(static_cast<double>(self.numel()), 0.145);
  if (others.numel() < static_cast<int64_t>(few)) {
    std::vector<int64_t> shape(self.dim(), 1);
    shape.push_back(others.numel());
    const Tensor each = self.unsqueeze(-1), all = others.view(shape);
    return out.copy_(invert ? each.ne(all).all(-1) : each.eq(all).any(-1));
  }
  Tensor mine = self.ravel(), theirs = others.ravel(), order;
  if (!unique) {
    std::tie(mine, order) = at::_unique(self, /*sorted=*/false, /*return_inverse=*/true);
    theirs = std::get<0>(at::_unique(others, /*sorted=*/false));
  }
  const Tensor together = at::cat({std::move(mine), std::move(theirs)});
  const auto [sorted, place] = together.sort(/*stable=*/true, 0, /*descending=*/false);
  Tensor twice = at::empty_like(sorted, sorted.options().dtype(at::kBool));
  const Tensor next = sorted.slice(0, 1), before = sorted.slice(0, 0, -1);
  twice.slice(0, 0, -1).copy_(invert ? before.ne(next) : before.eq(next));
  twice.slice(0, -1).fill_(invert);
  Tensor mask = at::empty_like(twice);
  mask.index_copy_(0, place, twice);
  return out.copy_(unique ? mask.slice(0, 0, self.numel()).view_as(out) : at::index(mask, {order}));
}

// A result that was given room for every element before it was known how many there are. Only the part
// that it uses costs the host memory. Where even the addresses of the room cannot be opened, the room
// goes with the scratch, and the result is as large as it has to be.
Tensor with_room(const Tensor& host, int64_t room, Scratch& scratch) {
  Tensor device = empty_on_device({room}, {1}, host.scalar_type());
  device.resize_(host.sizes());
  Block* block = block_of(device);
  if (block == nullptr || make_real(*block, host.nbytes())) {
    host_alias(device).copy_(host);
    return device;
  }
  if (host.nbytes() > real_limit()) {
    set_unknown(*block);
    return device;
  }
  scratch.push_back(device.storage().set_data_ptr(c10::DataPtr(nullptr, device.device())));
  return to_device(host);
}

Tensor nothing(const Tensor& like) { return at::empty({0}, like.options().dtype(at::kLong)); }

// ATen/native/cuda/UniqueCub.cu, compute_unique: results have room for every element, and finding what
// differs from what is before takes some memory.
Uniques among_neighbours(const Tensor& self, const Tensor& values, const Tensor& where,
                         const Tensor& counts, bool counted) {
  const int64_t count = self.numel();
  Scratch scratch;
  const Tensor found = with_room(values, count, scratch);
  take(scratch, sizeof(int64_t));
  const Tensor lengths = counted ? with_room(counts, count, scratch) : nothing(self);
  take(scratch, counted ? cub::run_length_bytes(count) : cub::unique_bytes(count, self.element_size()));
  return {found, where, lengths};
}

// ATen/native/cuda/UniqueCub.cu, UniqueCub<bool>: the true values are counted, and so the false ones.
Uniques unique_of_two(const Tensor& self, bool inverse) {
  const auto [values, places, counts] = at::_unique2(on_host(self), true, inverse, true);
  Scratch scratch;
  take_copy(scratch, self);
  take(scratch, sizeof(int));
  pass(cub::count_bytes(self.numel()));
  const Tensor found = with_room(values, 2, scratch), lengths = with_room(counts, 2, scratch);
  return {found, inverse ? to_device(places) : nothing(self), lengths};
}

// ATen/native/cuda/UniqueCub.cu, unique_cuda_template: all is sorted, with its indices where it is to be
// told where each element went.
Uniques unique(const Tensor& self, bool, bool inverse, bool counted) {
  const int64_t count = self.numel(), index_bytes = inverse ? 8 : 0;
  if (count > 0 && self.scalar_type() == at::kBool) {
    return unique_of_two(self, inverse);
  }
  const auto [values, places, counts] = at::_unique2(on_host(self), true, inverse, counted);
  if (count == 0) {
    return {to_device(values), to_device(places), to_device(counts)};
  }
  Scratch sorted;
  take_copy(sorted, self);
  take(sorted, count * self.element_size());
  {
    Scratch range;
    take(range, count * index_bytes);
    take(sorted, count * index_bytes);
    take(range, cub::sort_bytes(count, self.scalar_type(), index_bytes));
  }
  const Tensor where = inverse ? to_device(places) : nothing(self);
  if (inverse) {
    Scratch scan;
    take(scan, count * index_bytes);
    take(scan, cub::scan_bytes(count, sizeof(int)));
  }
  return among_neighbours(self, values, where, counts, counted);
}

std::tuple<Tensor, Tensor> unique_without_counts(const Tensor& self, bool sorted, bool inverse) {
  const auto [values, places, counts] = unique(self, sorted, inverse, false);
  return {values, places};
}

// The same of what is sorted already, or taken to be.
Uniques unique_consecutive(const Tensor& self, bool inverse, bool counted, std::optional<int64_t> along) {
  const auto [values, places, counts] = at::unique_consecutive(on_host(self), inverse, counted, along);
  const Tensor where = inverse ? to_device(places) : nothing(self);
  if (along.has_value() || self.numel() == 0) {
    return {to_device(values), where, counted ? to_device(counts) : nothing(self)};
  }
  if (inverse) {
    Scratch marks;
    take(marks, self.numel() * sizeof(int));
    take(marks, cub::scan_bytes(self.numel(), sizeof(int)));
  }
  return among_neighbours(self, values, where, counts, counted);
}

// ATen/native/cuda/Unique.cu, unique_dim_cuda_template: slices are sorted by index, with Thrust.
Uniques unique_dim(const Tensor& self, int64_t along, bool, bool inverse, bool counted) {
  const auto [values, places, counts] = at::unique_dim(on_host(self), along, true, inverse, counted);
  Scratch indices;
  if (self.dim() > 0 && self.numel() > 0) {
    const int64_t slices = self.size(along);
    take_copy(indices, self.transpose(along, 0));
    take(indices, slices * 8);
    pass(slices * 8);
    pass(cub::unique_bytes(slices, 8) + 256);
  }
  return {to_device(values), inverse ? to_device(places) : nothing(self),
          counted ? to_device(counts) : nothing(self)};
}

}  // namespace

void register_composed(torch::Library& library) {
  library.impl("equal", &equal);
  library.impl("count_nonzero.dim_IntList", &count_nonzero);
  library.impl("median", &median);
  library.impl("nanmedian", &nanmedian);
  library.impl("masked_select", &masked_select);
  library.impl("isin.Tensor_Tensor", &isin);
  library.impl("_unique", &unique_without_counts);
  library.impl("_unique2", &unique);
  library.impl("unique_consecutive", &unique_consecutive);
  library.impl("unique_dim", &unique_dim);
}

}  // namespace vgpu
