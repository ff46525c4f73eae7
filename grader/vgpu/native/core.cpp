// The Python module of the native core. One translation unit: the headers take most of the time.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "account.cpp"
#include "composed.cpp"
#include "convolving.cpp"
#include "cub.cpp"
#include "device.cpp"
#include "distributions.cpp"
#include "fallback.cpp"
#include "generator.cpp"
#include "memory.cpp"
#include "normalising.cpp"
#include "operators.cpp"
#include "ordering.cpp"
#include "reductions.cpp"
#include "sampling.cpp"
#include "scratch.cpp"
#include "special.cpp"

namespace vgpu {
namespace {

namespace py = pybind11;

// What the Python side hands in, kept for the life of the process.
struct Ledger {
  PyObject* birth = nullptr;          // (nbytes, dtype code, dead addresses or None) -> address
  PyObject* refused = nullptr;        // the class of its out-of-memory errors
  PyObject* mixes_scalars = nullptr;  // (operator name, overload) -> bool
  PyObject* check_devices = nullptr;  // (operator name, overload, [(device or None, ...)]) raises
};
Ledger ledger;

// A ledger's workspaces go by a number; what a thread has taken from one it does not take again.
std::atomic<uint64_t> workspace_set{0};
std::atomic<uint64_t> workspace_bytes{0};
thread_local std::vector<uint64_t> workspace_sets_seen;
std::mutex workspaces_mutex;
std::unordered_map<uint64_t, std::vector<c10::DataPtr>> workspaces;

// Memory that was asked for without a tensor (torch.cuda.caching_allocator_alloc), by address.
std::unordered_map<uintptr_t, c10::DataPtr> raw;

std::string words_of_error() {
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  auto text = py::reinterpret_steal<py::object>(PyObject_Str(value));
  std::string words = text ? text.cast<std::string>() : "vgpu: the ledger failed";
  if (text && type != nullptr && words.empty()) {
    words = reinterpret_cast<PyTypeObject*>(type)->tp_name;
  }
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
  return words;
}

[[noreturn]] void throw_error() {
  if (PyErr_ExceptionMatches(ledger.refused)) {
    throw c10::OutOfMemoryError({__func__, __FILE__, static_cast<uint32_t>(__LINE__)},
                                words_of_error());
  }
  throw c10::Error({__func__, __FILE__, static_cast<uint32_t>(__LINE__)}, words_of_error());
}

py::object addresses(const std::vector<Death>& dead) {
  if (dead.empty()) {
    return py::none();
  }
  py::list found(dead.size());
  for (size_t i = 0; i < dead.size(); ++i) {
    found[i] = dead[i].address;
  }
  return std::move(found);
}

// False, with an exception set, where the ledger would be broken off: by a signal that waits already,
// or because the stack of calls is too deep for its own.
bool may_decide() {
  constexpr int its_depth = 30;
  if (PyErr_CheckSignals() != 0) {
    return false;
  }
  int entered = 0;
  while (entered < its_depth && Py_EnterRecursiveCall("") == 0) {
    ++entered;
  }
  const bool deep_enough = entered == its_depth;
  while (entered-- > 0) {
    Py_LeaveRecursiveCall();
  }
  return deep_enough;
}

const char* state_name(Values values) {
  switch (values) {
    case Values::real: return "real";
    case Values::fresh: return "fresh";
    case Values::pattern: return "pattern";
    default: return "unknown";
  }
}

}  // namespace

Born ledger_birth(size_t nbytes, at::ScalarType dtype) {
  py::gil_scoped_acquire gil;
  TORCH_CHECK(ledger.birth != nullptr, "vgpu: the virtual GPU is not set up");
  if (!may_decide()) {
    throw_error();
  }
  const int code = dtype == at::ScalarType::Undefined ? -1 : static_cast<int>(dtype);
  const std::vector<Death> dead = take_deaths();
  Birth birth(account(), nbytes, code, dead);
  const auto address = py::reinterpret_steal<py::object>(PyObject_CallFunction(
      ledger.birth, "niO", static_cast<Py_ssize_t>(nbytes), code, addresses(dead).ptr()));
  if (!address) {
    if (PyErr_ExceptionMatches(ledger.refused)) {
      birth.refused();
    }
    throw_error();
  }
  return {PyLong_AsSize_t(address.ptr()), birth.accepted()};
}

void ledger_workspace() {
  const uint64_t now = workspace_set;
  if (workspace_bytes == 0 || (!workspace_sets_seen.empty() && workspace_sets_seen.back() == now)) {
    return;
  }
  if (std::find(workspace_sets_seen.begin(), workspace_sets_seen.end(), now) !=
      workspace_sets_seen.end()) {
    return;
  }
  c10::DataPtr taken = allocate(workspace_bytes, at::ScalarType::Undefined);
  workspace_sets_seen.push_back(now);
  std::lock_guard<std::mutex> lock(workspaces_mutex);
  workspaces[now].push_back(std::move(taken));
}

bool ledger_mixes_scalars(const c10::FunctionSchema& schema) {
  py::gil_scoped_acquire gil;
  const auto answer = py::reinterpret_steal<py::object>(PyObject_CallFunction(
      ledger.mixes_scalars, "ss", schema.name().c_str(), schema.overload_name().c_str()));
  if (!answer) {
    throw_error();
  }
  return answer.cast<bool>();
}

void ledger_check_devices(const c10::FunctionSchema& schema, c10::ArrayRef<c10::IValue> arguments) {
  py::gil_scoped_acquire gil;
  py::list described;
  for (size_t i = 0; i < arguments.size(); ++i) {
    py::list tensors;
    const auto describe = [&](const at::Tensor& tensor) {
      if (tensor.defined()) {
        tensors.append(py::make_tuple(tensor.device().str(), tensor.dim()));
      }
    };
    if (arguments[i].isTensor()) {
      describe(arguments[i].toTensor());
    } else if (arguments[i].isList()) {
      for (const c10::IValue& item : arguments[i].toListRef()) {
        if (item.isTensor()) {
          describe(item.toTensor());
        }
      }
    }
    const c10::Argument& argument = schema.arguments()[i];
    described.append(py::make_tuple(argument.name(), argument.is_out(), tensors));
  }
  const auto answer = py::reinterpret_steal<py::object>(
      PyObject_CallFunction(ledger.check_devices, "ssO", schema.name().c_str(),
                            schema.overload_name().c_str(), described.ptr()));
  if (!answer) {
    throw_error();
  }
}

void ledger_linear(bool refused) { account().note_linear(refused); }

}  // namespace vgpu

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) {
  using namespace vgpu;
  module.def("install", [](py::object birth, py::object refused, py::object mixes_scalars,
                           py::object check_devices) {
    account().note_setup();
    arena().reserve();
    become_device();
    register_attention_choice();
    ledger = {birth.release().ptr(), refused.release().ptr(), mixes_scalars.release().ptr(),
              check_devices.release().ptr()};
  });
  module.def("arena", [] {
    return std::make_pair(reinterpret_cast<uintptr_t>(arena().base()), arena().span());
  });
  module.def("open_bytes", [] { return arena().open_bytes(); });
  module.def("set_limits", [](size_t one_tensor, size_t altogether) {
    set_real_limit(one_tensor);
    arena().set_budget(altogether);
  });
  module.def("begin_epoch", [] {
    account().note_setup();
    begin_epoch();
  });
  module.def("live_blocks", &live_blocks);
  // Call with the addresses of what has died, if anything has.
  module.def("settle", [](const py::object& bury) {
    SignalsHeld held;
    if (!may_decide()) {
      throw py::error_already_set();
    }
    const std::vector<Death> dead = take_deaths();
    if (!dead.empty()) {
      account().tell(dead);
      bury(addresses(dead));
      account().told(dead);
    }
  });
  module.def("set_architecture", [](int64_t processors, int64_t threads_each, int64_t capability) {
    architecture() = {processors, threads_each, capability};
    set_grid_limit(processors * (threads_each / 256));
  });
  module.def("default_generator", [] { return default_generator(); });
  module.def("set_current_stream", &set_current_stream);
  module.def("current_stream", &current_stream);
  // From now on threads take cuBLAS workspaces of this size from the set of this number.
  module.def("use_workspaces", [](uint64_t set, uint64_t nbytes) {
    workspace_set = set;
    workspace_bytes = nbytes;
  });
  module.def("drop_workspaces", [](uint64_t set) {
    std::vector<c10::DataPtr> dropped;
    std::lock_guard<std::mutex> lock(workspaces_mutex);
    dropped.swap(workspaces[set]);
    workspaces.erase(set);
  });
  // The key does not pass through Python: student code finds every object that there ever is.
  module.def("take_key", [](int descriptor) { account().take_key(descriptor); });
  // The sealed account, and how often a linear layer was applied and refused, since the last call.
  module.def("read_account", [](uint64_t mark) {
    const Account::Reading reading = account().read(mark);
    const auto& words = reading.sealed;
    return py::make_tuple(
        py::bytes(reinterpret_cast<const char*>(words.data()), words.size() * sizeof(uint64_t)),
        reading.linear_calls, reading.linear_refused);
  });
  // What happens in between is a question's, not the submission's.
  module.def("begin_scratch", [] { account().turn(/*apart=*/true); });
  module.def("end_scratch", [] { account().turn(/*apart=*/false); });
  module.def("limit_fraction", [](double fraction) { account().limit_fraction(fraction); });
  module.def("raw_allocate", [](size_t nbytes) {
    c10::DataPtr memory = allocate(nbytes, at::ScalarType::Undefined);
    const auto address = reinterpret_cast<uintptr_t>(memory.get());
    if (address != 0) {
      raw[address] = std::move(memory);
    }
    return address;
  });
  module.def("raw_delete", [](uintptr_t address) { return raw.erase(address) != 0; });
  module.def("storage_state", [](const at::Tensor& tensor) -> py::object {
    const Block* block = block_of(tensor);
    if (block == nullptr) {
      return py::none();
    }
    // A pattern counts from the block's first byte.
    const bool shifted = tensor.unsafeGetTensorImpl()->unsafe_storage().data() != block->data;
    const bool repeats = block->values == Values::pattern && block->pattern.numel() > 1;
    return py::make_tuple(state_name(shifted && repeats ? Values::unknown : block->values), reinterpret_cast<uintptr_t>(block->data),
                          block->nbytes, block->pattern);
  });
  module.def("make_real", [](const at::Tensor& tensor) {
    Block* block = block_of(tensor);
    return block == nullptr || make_real(*block);
  });
  module.def("set_pattern", [](const at::Tensor& tensor, const at::Tensor& pattern) {
    set_pattern(*block_of(tensor), pattern);
  });
  module.def("set_unknown", [](const at::Tensor& tensor) { set_unknown(*block_of(tensor)); });
  module.def("alias", &host_alias);
  module.def("grow", [](const at::Tensor& tensor, const std::vector<int64_t>& sizes,
                        const std::vector<int64_t>& strides) { grow(tensor, sizes, strides); });
}
