// Operators with a kernel of their own, and the registration of all of them.
#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/InferSize.h>
#include <ATen/native/TensorFactories.h>
#include <ATen/ops/linear_native.h>
#include <torch/library.h>

#include <cstring>

#include "distributions.h"
#include "fallback.h"
#include "ledger.h"
#include "memory.h"
#include "special.h"

namespace vgpu {
namespace {

void check_device(std::optional<at::Device> device) {
  if (device.has_value() && device->has_index() && device->index() != 0) {
    throw c10::AcceleratorError(
        {__func__, __FILE__, static_cast<uint32_t>(__LINE__)}, 101,
        "CUDA error: invalid device ordinal\nGPU device may be out of range, do you have enough "
        "GPUs?\nCUDA kernel errors might be asynchronously reported at some other API call, so the "
        "stacktrace below might be incorrect.\nFor debugging consider passing "
        "CUDA_LAUNCH_BLOCKING=1\nDevice-side assertion tracking was not enabled by user.");
  }
}

void check_layout(std::optional<at::Layout> layout) {
  TORCH_CHECK_NOT_IMPLEMENTED(!layout.has_value() || *layout == at::kStrided, "vgpu: ", *layout,
                              " tensors are not modelled on the virtual GPU");
}

c10::DimVector dense_strides(at::IntArrayRef sizes, at::MemoryFormat format) {
  switch (format) {
    case at::MemoryFormat::ChannelsLast: return c10::DimVector(c10::get_channels_last_strides_2d(sizes));
    case at::MemoryFormat::ChannelsLast3d: return c10::DimVector(c10::get_channels_last_strides_3d(sizes));
    default: return c10::contiguous_strides(sizes);
  }
}

at::Tensor empty(at::IntArrayRef sizes, std::optional<at::ScalarType> dtype,
                 std::optional<at::Layout> layout, std::optional<at::Device> device,
                 std::optional<bool> pinned, std::optional<at::MemoryFormat> format) {
  check_device(device);
  check_layout(layout);
  TORCH_CHECK(!pinned.value_or(false), "Only dense CPU tensors can be pinned");
  at::detail::check_size_nonnegative(sizes);
  const at::ScalarType type = at::dtype_or_default(dtype);
  at::detail::computeStorageNbytesContiguous(sizes, c10::elementSize(type));  // its overflow check
  const auto strides = dense_strides(sizes, format.value_or(at::MemoryFormat::Contiguous));
  return empty_on_device(sizes, strides, type);
}

at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides,
                         std::optional<at::ScalarType> dtype, std::optional<at::Layout> layout,
                         std::optional<at::Device> device, std::optional<bool>) {
  check_device(device);
  check_layout(layout);
  at::detail::check_size_nonnegative(sizes);
  return empty_on_device(sizes, strides, at::dtype_or_default(dtype));
}

// The Python side decides where values cannot be real.
template <typename Call>
void as_ghost(const char* name, const char* overload, Call push) {
  const c10::OperatorHandle op = c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
  torch::jit::Stack stack;
  push(stack);
  op.redispatchBoxed(c10::DispatchKeySet(ghost_key), &stack);
}

// Fill without touching memory where that can be put off.
at::Tensor& fill_(at::Tensor& self, const at::Scalar& value) {
  if (self.numel() == 0) {
    return self;
  }
  Block* block = block_of(self);
  if (block->values != Values::real && covers_storage(self)) {
    set_pattern(*block, at::full({1}, value, self.options().device(at::kCPU).requires_grad(false)));
  } else if (make_real(*block)) {
    host_alias(self).fill_(value);
  } else {
    as_ghost("aten::fill_", "Scalar",
             [&](torch::jit::Stack& stack) { torch::jit::push(stack, self, value); });
  }
  return self;
}

at::Tensor& fill_tensor_(at::Tensor& self, const at::Tensor& value) {
  TORCH_CHECK(value.dim() == 0,
              "fill_ only supports 0-dimension value tensor but got tensor with ", value.dim(),
              " dimensions.");
  return vgpu::fill_(self, value.item());
}

at::Tensor& zero_(at::Tensor& self) { return vgpu::fill_(self, 0); }

bool same_layout(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
      a.is_conj() == b.is_conj() && a.is_neg() == b.is_neg() &&
      ((a.is_contiguous() && b.is_contiguous()) ||
       (a.strides() == b.strides() && a.is_non_overlapping_and_dense()));
}

// ATen/native/cuda/Copy.cu, copy_requires_temporaries: between host and device only equal layouts
// are copied as they are; else the device's side goes through a contiguous temporary.
c10::DataPtr copy_scratch(const at::Tensor& target, const at::Tensor& source) {
  if (target.is_cuda() == source.is_cuda() || same_layout(target, source)) {
    return {};
  }
  const bool needed = target.is_cuda()
      ? !target.is_contiguous()
      : source.scalar_type() != target.scalar_type() || source.sizes() != target.sizes() ||
          !source.is_contiguous();
  return needed ? allocate(target.numel() * target.element_size(), at::ScalarType::Undefined)
                : c10::DataPtr();
}

bool real_or_host(const at::Tensor& tensor) {
  Block* block = tensor.is_cuda() ? block_of(tensor) : nullptr;
  return block == nullptr || make_real(*block);
}

at::Tensor& copy_(at::Tensor& self, const at::Tensor& source, bool non_blocking) {
  if (self.is_same(source) || self.numel() == 0) {
    return self;
  }
  const c10::DataPtr scratch = copy_scratch(self, source);
  if (self.is_cuda() && source.is_cuda()) {
    Block* from = block_of(source);
    Block* to = block_of(self);
    const bool lazy = to->values != Values::real && from->values == Values::pattern &&
        from->pattern.numel() == 1 && covers_storage(self) && !source.is_conj() &&
        !source.is_neg() && !self.is_conj() && !self.is_neg();
    if (lazy) {
      set_pattern(*to, from->pattern.to(self.scalar_type()).clone());
      return self;
    }
  }
  if (real_or_host(self) && real_or_host(source)) {
    const at::Tensor target = self.is_cuda() ? host_alias(self) : self;
    target.copy_(source.is_cuda() ? host_alias(source) : source);
  } else {
    as_ghost("aten::copy_", "", [&](torch::jit::Stack& stack) {
      torch::jit::push(stack, self, source, non_blocking);
    });
  }
  return self;
}

const at::Tensor& resize_(const at::Tensor& self, at::IntArrayRef sizes,
                          std::optional<at::MemoryFormat> format) {
  at::detail::check_size_nonnegative(sizes);
  if (self.sizes() != sizes || format.has_value()) {
    grow(self, sizes, dense_strides(sizes, format.value_or(at::MemoryFormat::Contiguous)));
  }
  return self;
}

// Metadata only: the CPU's kernel does it for any device, as long as it need not make the storage
// larger, which it would do on the host.
void set_storage(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack* stack) {
  const size_t count = op.schema().arguments().size();
  if (op.schema().overload_name() == "source_Storage_storage_offset") {
    const c10::Storage storage = torch::jit::peek(*stack, 1, count).toStorage();
    const auto sizes = torch::jit::peek(*stack, 3, count).toIntVector();
    auto strides = torch::jit::peek(*stack, 4, count).toIntVector();
    if (strides.empty()) {
      const auto dense = c10::contiguous_strides(sizes);
      strides.assign(dense.begin(), dense.end());
    }
    const size_t needed = at::detail::computeStorageNbytes(
        sizes, strides, torch::jit::peek(*stack, 0, count).toTensor().element_size(),
        torch::jit::peek(*stack, 2, count).toInt());
    TORCH_CHECK_NOT_IMPLEMENTED(needed <= storage.nbytes(),
                                "vgpu: resizing a storage is not modelled on the virtual GPU");
  }
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
}

at::Tensor& set_nothing(at::Tensor& self) {
  return self.set_(empty_on_device({0}, {1}, self.scalar_type()));
}

void record_stream(at::Tensor&, at::Stream) {}

// A tensor of zeros that takes no memory, as autograd makes them: ATen/native/cuda/TensorFactories.cu,
// _efficientzerotensor_cuda.
at::Tensor zero_tensor(at::IntArrayRef sizes, std::optional<at::ScalarType> dtype,
                       std::optional<at::Layout>, std::optional<at::Device> device,
                       std::optional<bool>) {
  check_device(device);
  static auto* allocator = new at::native::ZeroTensorAllocator(at::Device(at::kCUDA, 0));
  const c10::DispatchKeySet keys({c10::DispatchKey::CUDA, c10::DispatchKey::ZeroTensor});
  return at::detail::empty_generic(sizes, allocator, keys, at::dtype_or_default(dtype), std::nullopt);
}

// aten::linear by its own rule; the ledger counts it, since a refused one never reaches addmm.
at::Tensor linear(const at::Tensor& input, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias) {
  try {
    at::Tensor out = at::native::linear(input, weight, bias);
    ledger_linear(/*refused=*/false);
    return out;
  } catch (const c10::OutOfMemoryError&) {
    ledger_linear(/*refused=*/true);
    throw;
  }
}

// Operators that check devices before they allocate anything; the composite kernel that allocates
// and calls their out= form is the one that a backend without kernels has.
constexpr const char* checked_first[] = {"mm",  "addmm",  "addmv",           "bmm", "baddbmm",
                                         "cat", "gather", "nll_loss_forward"};

void checked(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack* stack) {
  check_call(op, *stack);
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::IPU), stack);
}

// Operators with a CUDA kernel of their own, whose composite kernel would otherwise run here and
// take other memory.
constexpr const char* direct[] = {
    "addr", "addr.out", "all.dims_out", "any.dims_out", "convolution_backward",
    "native_group_norm", "native_layer_norm", "_fused_rms_norm", "mish_backward", "_chunk_cat",
    "_chunk_cat.out", "linalg__powsum", "_foreach_zero_", "_foreach_norm.Scalar", "_foreach_copy_",
    "kaiser_window", "kaiser_window.periodic", "kaiser_window.beta"};
constexpr const char* direct_foreach_binary[] = {"add",       "sub",       "mul",     "div",
                                                 "clamp_max", "clamp_min", "maximum", "minimum",
                                                 "pow",       "lerp"};
constexpr const char* direct_foreach_ternary[] = {"addcdiv", "addcmul"};
constexpr const char* direct_foreach_unary[] = {"abs",        "sqrt",  "neg", "exp",
                                                "reciprocal", "rsqrt", "sign"};

void register_direct(torch::Library& library, const std::string& name) {
  library.impl(name.c_str(), torch::CppFunction::makeFromBoxedFunction<&fallback>());
}

void register_foreach(torch::Library& library, const std::string& name, const std::string& overload) {
  const std::string suffix = overload.empty() ? "" : "." + overload;
  register_direct(library, "_foreach_" + name + suffix);
  register_direct(library, "_foreach_" + name + "_" + suffix);
}

// Layouts without kernels: PyTorch's own words fill a page.
enum class Layout { sparse, nested, quantized };

template <Layout layout>
void refuse(const c10::OperatorHandle&, c10::DispatchKeySet, torch::jit::Stack*) {
  constexpr const char* names[] = {"sparse", "nested", "quantized"};
  TORCH_CHECK_NOT_IMPLEMENTED(false, "vgpu: ", names[static_cast<int>(layout)],
                              " tensors are not modelled on the virtual GPU");
}

template <Layout layout>
torch::CppFunction refusal() {
  return torch::CppFunction::makeFromBoxedFunction<&refuse<layout>>();
}

}  // namespace
}  // namespace vgpu

TORCH_LIBRARY_IMPL(_, CUDA, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&vgpu::fallback>());
}
TORCH_LIBRARY_IMPL(_, SparseCUDA, library) { library.fallback(vgpu::refusal<vgpu::Layout::sparse>()); }
TORCH_LIBRARY_IMPL(_, SparseCsrCUDA, library) {
  library.fallback(vgpu::refusal<vgpu::Layout::sparse>());
}
TORCH_LIBRARY_IMPL(_, NestedTensorCUDA, library) {
  library.fallback(vgpu::refusal<vgpu::Layout::nested>());
}
TORCH_LIBRARY_IMPL(_, QuantizedCUDA, library) {
  library.fallback(vgpu::refusal<vgpu::Layout::quantized>());
}

TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  using namespace vgpu;
  library.impl("empty.memory_format", &vgpu::empty);
  library.impl("empty_strided", &vgpu::empty_strided);
  library.impl("fill_.Scalar", &vgpu::fill_);
  library.impl("fill_.Tensor", &vgpu::fill_tensor_);
  library.impl("zero_", &vgpu::zero_);
  library.impl("copy_", &vgpu::copy_);
  library.impl("resize_", &vgpu::resize_);
  library.impl("record_stream", &vgpu::record_stream);
  library.impl("_efficientzerotensor", &vgpu::zero_tensor);
  for (const char* name :
       {"set_.source_Storage", "set_.source_Storage_storage_offset", "set_.source_Tensor"}) {
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&set_storage>());
  }
  library.impl("set_", &set_nothing);
  register_distributions(library);
  register_sampling(library);
  register_special(library);
  register_composed(library);
  for (const char* name : checked_first) {
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&checked>());
  }
  for (const char* name : direct) {
    register_direct(library, name);
  }
  for (const char* name : direct_foreach_binary) {
    for (const char* overload : {"Scalar", "List", "ScalarList"}) {
      register_foreach(library, name, overload);
    }
  }
  for (const char* name : {"add", "mul", "div"}) {
    register_foreach(library, name, "Tensor");
  }
  for (const char* name : direct_foreach_ternary) {
    for (const char* overload : {"Scalar", "ScalarList", "Tensor"}) {
      register_foreach(library, name, overload);
    }
  }
  for (const char* name : direct_foreach_unary) {
    register_foreach(library, name, "");
  }
}

TORCH_LIBRARY_IMPL(aten, AutogradCUDA, library) { library.impl("linear", &vgpu::linear); }
