// The Python module of the native core. One translation unit: the headers take most of the time.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "device.cpp"
#include "fallback.cpp"
#include "generator.cpp"
#include "memory.cpp"
#include "normalising.cpp"
#include "operators.cpp"
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

std::atomic<int64_t> linear_calls{0};
std::atomic<int64_t> linear_refused{0};

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

py::object dead_addresses() {
  const std::vector<uintptr_t> dead = take_deaths();
  return dead.empty() ? py::none() : py::object(py::cast(dead));
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

uintptr_t ledger_birth(size_t nbytes, at::ScalarType dtype) {
  py::gil_scoped_acquire gil;
  TORCH_CHECK(ledger.birth != nullptr, "vgpu: the virtual GPU is not set up");
  const py::object dead = dead_addresses();
  const auto address = py::reinterpret_steal<py::object>(PyObject_CallFunction(
      ledger.birth, "niO", static_cast<Py_ssize_t>(nbytes),
      dtype == at::ScalarType::Undefined ? -1 : static_cast<int>(dtype), dead.ptr()));
  if (!address) {
    throw_error();
  }
  return PyLong_AsSize_t(address.ptr());
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

void ledger_linear(bool refused) {
  ++linear_calls;
  linear_refused += refused;
}

}  // namespace vgpu

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) {
  using namespace vgpu;
  module.def("install", [](py::object birth, py::object refused, py::object mixes_scalars,
                           py::object check_devices) {
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
  module.def("begin_epoch", &begin_epoch);
  module.def("live_blocks", &live_blocks);
  module.def("take_deaths", &dead_addresses);
  module.def("set_multi_processors", [](int64_t count, int64_t threads_each) {
    set_multi_processors(count, threads_each);
    set_grid_limit(count * (threads_each / 256));
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
  module.def("take_linear", [] {
    return std::make_pair(linear_calls.exchange(0), linear_refused.exchange(0));
  });
  module.def("add_linear", [](int64_t calls, int64_t refused) {
    linear_calls += calls;
    linear_refused += refused;
  });
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
