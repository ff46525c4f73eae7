#include "fallback.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>

#include <cstring>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <unordered_set>

#include "generator.h"
#include "ledger.h"
#include "memory.h"
#include "scratch.h"

namespace vgpu {
namespace {

using torch::jit::IValue;
using torch::jit::Stack;

// What the fallback needs of a schema, worked out once per operator.
struct Plan {
  bool view = false;                 // returns metadata over the same bytes
  bool blas = false;                 // runs cuBLAS on the real card
  bool host_index = false;           // takes CPU indices or lengths beside a device tensor
  std::optional<bool> mixes_scalars;  // accepts CPU scalars; asked when first needed
  ScratchRule scratch = nullptr;
  bool modelled = true;              // the CPU has a kernel to stand in
  std::optional<size_t> generator;   // the argument that is the generator
  uint64_t numbers = 4;              // how many each thread takes from it on the real card
  std::vector<bool> writes;          // per argument
  std::vector<int> returns;          // per return: the argument it is, or -1 for a new tensor
};

const std::unordered_set<std::string> blas_names = {
    "aten::mm",    "aten::addmm", "aten::bmm",    "aten::baddbmm",         "aten::addmv", "aten::mv",
    "aten::dot",   "aten::vdot",  "aten::addbmm", "aten::_addmm_activation"};
const std::unordered_set<std::string> host_index_names = {
    "aten::index", "aten::index_put_", "aten::_index_put_impl_", "aten::index_put",
    "aten::_unsafe_index", "aten::_ctc_loss", "aten::_ctc_loss_backward"};

// ATen/native/cuda/Distributions.cu, launch_binomial_cuda_kernel, launch_gamma_kernel and
// _s_dirichlet_cuda.
const std::unordered_map<std::string, uint64_t> numbers_by_name = {
    {"aten::binomial", 42}, {"aten::_standard_gamma", 10}, {"aten::_sample_dirichlet", 10}};

Plan make_plan(const c10::OperatorHandle& op) {
  const c10::FunctionSchema& schema = op.schema();
  Plan plan;
  plan.modelled = op.hasComputedKernelForDispatchKey(c10::DispatchKey::CPU);
  plan.blas = blas_names.count(schema.name()) != 0;
  plan.scratch = scratch_rule(schema.name());
  plan.host_index = host_index_names.count(schema.name()) != 0;
  const auto numbers = numbers_by_name.find(schema.name());
  if (numbers != numbers_by_name.end()) {
    plan.numbers = numbers->second;
  }
  for (const c10::Argument& argument : schema.arguments()) {
    if (argument.name() == "generator") {
      plan.generator = plan.writes.size();
    }
    plan.writes.push_back(argument.alias_info() != nullptr && argument.alias_info()->isWrite());
  }
  for (const c10::Argument& result : schema.returns()) {
    int source = -1;
    if (result.alias_info() != nullptr && result.alias_info()->isWrite()) {
      for (size_t i = 0; i < schema.arguments().size(); ++i) {
        if (plan.writes[i] &&
            schema.arguments()[i].alias_info()->beforeSets() == result.alias_info()->beforeSets()) {
          source = static_cast<int>(i);
          break;
        }
      }
    } else if (result.alias_info() != nullptr) {
      plan.view = true;
    }
    plan.returns.push_back(source);
  }
  return plan;
}

Plan& plan_of(const c10::OperatorHandle& op) {
  static std::shared_mutex mutex;
  static auto* plans = new std::unordered_map<const c10::FunctionSchema*, std::unique_ptr<Plan>>;
  const c10::FunctionSchema* schema = &op.schema();
  {
    std::shared_lock<std::shared_mutex> lock(mutex);
    auto found = plans->find(schema);
    if (found != plans->end()) {
      return *found->second;
    }
  }
  std::unique_lock<std::shared_mutex> lock(mutex);
  auto& slot = (*plans)[schema];
  if (slot == nullptr) {
    slot = std::make_unique<Plan>(make_plan(op));
  }
  return *slot;
}

// The arguments of one call on their way to the CPU.
class Crossing {
 public:
  bool ghost = false;        // a device tensor's values cannot be real
  bool host_tensor = false;  // a CPU tensor is among the arguments
  bool host_scalars_only = true;

  // Note CPU tensors without taking anything across.
  void look_at(const IValue& value) {
    if (value.isTensor()) {
      note_host(value.toTensor());
    } else if (value.isTensorList()) {
      for (const at::Tensor& tensor : value.toTensorVector()) {
        note_host(tensor);
      }
    }
  }

  IValue cross(const IValue& value) {
    if (value.isTensor()) {
      return cross_tensor(value.toTensor());
    }
    if (value.isTensorList()) {
      c10::List<at::Tensor> crossed;
      for (const at::Tensor& tensor : value.toTensorVector()) {
        crossed.push_back(cross_tensor(tensor));
      }
      return crossed;
    }
    if (value.isList()) {
      return cross_list(value);
    }
    if (value.isDevice() && value.toDevice().is_cuda()) {
      return c10::Device(c10::kCPU);
    }
    return value;
  }

 private:
  void note_host(const at::Tensor& tensor) {
    if (tensor.defined() && !tensor.is_cuda()) {
      host_tensor = true;
      host_scalars_only = host_scalars_only && tensor.dim() == 0;
    }
  }

  IValue cross_list(const IValue& value) {
    const auto list = value.toListRef();
    bool has_tensor = false;
    for (const IValue& item : list) {
      has_tensor = has_tensor || item.isTensor();
    }
    if (!has_tensor) {
      return value;
    }
    c10::List<std::optional<at::Tensor>> crossed;
    for (const IValue& item : list) {
      crossed.push_back(item.isNone() ? std::nullopt
                                      : std::optional<at::Tensor>(cross_tensor(item.toTensor())));
    }
    return crossed;
  }

  at::Tensor cross_tensor(const at::Tensor& tensor) {
    if (!tensor.defined()) {
      return tensor;
    }
    note_host(tensor);
    if (!tensor.is_cuda()) {
      return tensor;
    }
    Block* block = block_of(tensor);
    if (block != nullptr && !make_real(*block)) {
      ghost = true;
      return tensor;
    }
    return host_alias(tensor);
  }
};

// ATen/native/cuda/Blas.cpp, prepare_matrix_for_cublas: operands that cuBLAS cannot read in place are
// copied first.
bool readable_by_blas(const at::Tensor& matrix) {
  const int64_t rows = matrix.size(0), columns = matrix.size(1);
  const int64_t down = matrix.stride(0), across = matrix.stride(1);
  return (down == 1 && across >= std::max<int64_t>(1, rows)) ||
      (across == 1 && down >= std::max<int64_t>(1, columns)) || matrix.is_non_overlapping_and_dense();
}

const char* blas_kernel(const std::string& name) {
  if (name == "aten::mm") return "addmm";
  if (name == "aten::bmm") return "baddbmm";
  if (name == "aten::mv") return "addmv_impl";
  return name.c_str() + sizeof("aten::") - 1;
}

// What a matrix product takes beside its result, held until the product is done.
void blas_scratch(const std::string& name, c10::ArrayRef<IValue> arguments, Scratch& scratch) {
  for (const IValue& argument : arguments) {
    if (!argument.isTensor() || !argument.toTensor().is_cuda()) {
      continue;
    }
    const at::Tensor& tensor = argument.toTensor();
    TORCH_CHECK_NOT_IMPLEMENTED(
        !at::isIntegralType(tensor.scalar_type(), /*includeBool=*/true), '"', blas_kernel(name),
        "_cuda\" not implemented for '", tensor.scalar_type(), "'");
    if (tensor.dim() == 2 && !readable_by_blas(tensor)) {
      scratch.push_back(allocate(tensor.nbytes(), at::ScalarType::Undefined));
    }
  }
  ledger_workspace();
}

void check_devices(const c10::OperatorHandle& op, Plan& plan, const Crossing& crossing,
                   c10::ArrayRef<IValue> arguments) {
  if (!crossing.host_tensor || plan.host_index) {
    return;
  }
  if (!plan.mixes_scalars.has_value()) {
    plan.mixes_scalars = ledger_mixes_scalars(op.schema());
  }
  if (*plan.mixes_scalars && crossing.host_scalars_only) {
    return;
  }
  ledger_check_devices(op.schema(), arguments);
}

void take_result(const at::Tensor& original, const at::Tensor& crossed) {
  if (!original.defined() || !original.is_cuda()) {
    return;
  }
  // Some kernels leave their result to be read conjugated.
  original._set_conj(crossed.is_conj());
  original._set_neg(crossed.is_neg());
  if (original.sizes() == crossed.sizes()) {
    return;
  }
  grow(original, crossed.sizes(), crossed.strides());
  if (crossed.numel() > 0) {
    Block* block = block_of(original);
    if (make_real(*block)) {
      host_alias(original).copy_(crossed);
    } else {
      set_unknown(*block);
    }
  }
}

IValue result_to_device(const IValue& result) {
  if (result.isTensor()) {
    return result.toTensor().defined() ? to_device(result.toTensor()) : result;
  }
  if (result.isTensorList()) {
    c10::List<at::Tensor> moved;
    for (const at::Tensor& tensor : result.toTensorVector()) {
      moved.push_back(to_device(tensor));
    }
    return moved;
  }
  return result;
}

}  // namespace

at::Tensor empty_on_device(at::IntArrayRef sizes, at::IntArrayRef strides, at::ScalarType dtype) {
  const size_t nbytes =
      at::detail::computeStorageNbytes(sizes, strides, c10::elementSize(dtype));
  c10::Storage storage(c10::Storage::use_byte_size_t(), nbytes, allocate(nbytes, dtype),
                       device_allocator(), /*resizable=*/true);
  auto tensor = c10::make_intrusive<c10::TensorImpl>(
      std::move(storage), c10::DispatchKeySet(c10::DispatchKey::CUDA),
      c10::scalarTypeToTypeMeta(dtype));
  tensor->set_sizes_and_strides(sizes, strides);
  return at::Tensor(std::move(tensor));
}

at::Tensor to_device(const at::Tensor& host) {
  const char* unusual = host.is_nested()         ? "nested"
      : host.is_quantized()                      ? "quantized"
      : host.layout() != at::kStrided            ? "sparse"
                                                 : nullptr;
  TORCH_CHECK_NOT_IMPLEMENTED(unusual == nullptr, "vgpu: ", unusual,
                              " tensors are not modelled on the virtual GPU");
  at::Tensor device = empty_on_device(host.sizes(), host.strides(), host.scalar_type());
  if (host.numel() == 0) {
    return device;
  }
  // The bytes are copied as they are, and so is what says how to read them.
  device._set_conj(host.is_conj());
  device._set_neg(host.is_neg());
  Block* block = block_of(device);
  if (!make_real(*block)) {
    set_unknown(*block);
  } else if (host.is_non_overlapping_and_dense()) {
    std::memcpy(block->data, host.const_data_ptr(), host.nbytes());
  } else {
    host_alias(device).copy_(host);
  }
  return device;
}

void grow(const at::Tensor& tensor, at::IntArrayRef sizes, at::IntArrayRef strides) {
  c10::TensorImpl* impl = tensor.unsafeGetTensorImpl();
  const size_t needed =
      at::detail::computeStorageNbytes(sizes, strides, tensor.element_size(), impl->storage_offset());
  const c10::Storage& storage = impl->unsafe_storage();
  if (needed > storage.nbytes()) {
    TORCH_CHECK(storage.resizable(), "Trying to resize storage that is not resizable");
    c10::DataPtr larger = allocate(needed, tensor.scalar_type());
    Block* before = block_of(tensor);
    auto* after = static_cast<Block*>(larger.get_context());
    if (before != nullptr && before->values != Values::fresh) {
      if (make_real(*before) && make_real(*after)) {
        std::memcpy(after->data, before->data, before->nbytes);
      } else {
        set_unknown(*after);
      }
    }
    storage.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(larger));
    storage.unsafeGetStorageImpl()->set_nbytes(needed);
  }
  impl->set_sizes_and_strides(sizes, strides);
}

void check_call(const c10::OperatorHandle& op, const Stack& stack) {
  Plan& plan = plan_of(op);
  const size_t count = plan.writes.size();
  const auto arguments = c10::ArrayRef<IValue>(stack).slice(stack.size() - count, count);
  Crossing crossing;
  for (const IValue& argument : arguments) {
    crossing.look_at(argument);
  }
  check_devices(op, plan, crossing, arguments);
}

void fallback(const c10::OperatorHandle& op, c10::DispatchKeySet, Stack* stack) {
  constexpr auto cpu = c10::DispatchKeySet(c10::DispatchKey::CPU);
  Plan& plan = plan_of(op);
  if (plan.view) {
    op.redispatchBoxed(cpu, stack);
    return;
  }
  TORCH_CHECK_NOT_IMPLEMENTED(plan.modelled, "vgpu: ", op.schema().operator_name(),
                              " is not modelled on the virtual GPU");
  const size_t count = plan.writes.size();
  const size_t start = stack->size() - count;
  std::vector<IValue> originals(stack->begin() + start, stack->end());
  Crossing crossing;
  for (size_t i = 0; i < count; ++i) {
    (*stack)[start + i] = crossing.cross(originals[i]);
  }
  if (plan.generator.has_value()) {
    const auto given = originals[*plan.generator].toOptional<at::Generator>();
    (*stack)[start + *plan.generator] = cpu_stand_in(generator_of(given), plan.numbers);
  }
  check_devices(op, plan, crossing, originals);
  Scratch scratch;
  if (plan.blas) {
    blas_scratch(op.schema().name(), originals, scratch);
  }
  if (plan.scratch != nullptr) {
    plan.scratch(originals, scratch);
  }
  if (crossing.ghost) {
    std::copy(originals.begin(), originals.end(), stack->begin() + start);
    op.redispatchBoxed(c10::DispatchKeySet(ghost_key), stack);
    return;
  }
  std::vector<std::pair<at::Tensor, at::Tensor>> written;
  for (size_t i = 0; i < count; ++i) {
    if (plan.writes[i] && originals[i].isTensor()) {
      written.emplace_back(originals[i].toTensor(), (*stack)[start + i].toTensor());
    }
  }
  op.redispatchBoxed(cpu, stack);
  for (const auto& [original, crossed] : written) {
    take_result(original, crossed);
  }
  const size_t first = stack->size() - plan.returns.size();
  for (size_t i = 0; i < plan.returns.size(); ++i) {
    IValue& result = (*stack)[first + i];
    result = plan.returns[i] >= 0 ? originals[plan.returns[i]] : result_to_device(result);
  }
}

}  // namespace vgpu
