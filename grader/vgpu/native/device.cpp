// What a CPU build of PyTorch lacks to know a CUDA device: its guard and its hooks. Without the
// guard autograd aborts the process; without the hooks there is no accelerator.
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/csrc/profiler/stubs/base.h>

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <new>

#include "device.h"
#include "generator.h"
#include "memory.h"

namespace vgpu {
namespace {

thread_local c10::StreamId current_stream_id = 0;

c10::Device here() { return {c10::kCUDA, 0}; }
c10::Stream stream_now() { return c10::Stream(c10::Stream::UNSAFE, here(), current_stream_id); }

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::Device exchangeDevice(c10::Device) const override { return here(); }
  c10::Device getDevice() const override { return here(); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return stream_now(); }
  c10::Stream getDefaultStream(c10::Device) const override {
    return c10::Stream(c10::Stream::DEFAULT, here());
  }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override {
    return c10::Stream(c10::Stream::DEFAULT, here());
  }
  c10::Stream getNewStream(c10::Device, int) const override {
    return c10::Stream(c10::Stream::DEFAULT, here());
  }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    const c10::Stream before = stream_now();
    current_stream_id = stream.id();
    return before;
  }
  void record(void**, const c10::Stream&, const c10::DeviceIndex,
              const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
  void synchronizeEvent(void*) const override {}
  void synchronizeDevice(const c10::DeviceIndex) const override {}
  double elapsedTime(void*, void*, const c10::DeviceIndex) const override { return 0.0; }
};

// Host memory that is_pinned() answers for. It is ordinary memory: there is no bus to be fast on.
struct PinnedAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t nbytes) override {
    c10::DataPtr host = c10::GetCPUAllocator()->allocate(nbytes);
    void* data = host.get();
    if (data == nullptr) {
      return host;
    }
    auto* held = new Held{std::move(host)};
    {
      std::lock_guard<std::mutex> lock(mutex());
      ranges()[static_cast<const char*>(data)] = nbytes;
    }
    return {data, held, &release, c10::Device(c10::kCPU)};
  }
  void copy_data(void* destination, const void* source, size_t nbytes) const override {
    default_copy_data(destination, source, nbytes);
  }
  static bool holds(const void* pointer) {
    std::lock_guard<std::mutex> lock(mutex());
    const auto* data = static_cast<const char*>(pointer);
    auto after = ranges().upper_bound(data);
    if (after == ranges().begin()) {
      return false;
    }
    --after;
    return data < after->first + after->second;
  }

 private:
  struct Held {
    c10::DataPtr host;
  };
  static std::mutex& mutex() {
    static auto* one = new std::mutex;
    return *one;
  }
  static std::map<const char*, size_t>& ranges() {
    static auto* one = new std::map<const char*, size_t>;
    return *one;
  }
  static void release(void* context) {
    auto* held = static_cast<Held*>(context);
    {
      std::lock_guard<std::mutex> lock(mutex());
      ranges().erase(static_cast<const char*>(held->host.get()));
    }
    delete held;
  }
};

PinnedAllocator pinned_allocator;

struct Hooks final : at::CUDAHooksInterface {
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  int getNumGPUs() const override { return 1; }
  c10::DeviceIndex current_device() const override { return 0; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  void deviceSynchronize(c10::DeviceIndex) const override {}
  bool isPinnedPtr(const void* data) const override { return PinnedAllocator::holds(data); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &pinned_allocator; }
  c10::Allocator* getCUDADeviceAllocator() const override { return device_allocator(); }
  c10::Device getDeviceFromPtr(void*) const override { return here(); }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    return default_generator();
  }
  at::Generator getNewGenerator(c10::DeviceIndex) const override {
    return at::make_generator<DeviceGenerator>();
  }
  std::string showConfig() const override { return {}; }
  int64_t cuFFTGetPlanCacheMaxSize(c10::DeviceIndex) const override { return 0; }
  void cuFFTSetPlanCacheMaxSize(c10::DeviceIndex, int64_t) const override {}
  int64_t cuFFTGetPlanCacheSize(c10::DeviceIndex) const override { return 0; }
  void cuFFTClearPlanCache(c10::DeviceIndex) const override {}
};

// The profiler's events on the device, by this machine's clock: everything has run when it returns.
struct Profiler final : torch::profiler::impl::ProfilerStubs {
  using Event = torch::profiler::impl::ProfilerVoidEventStub;

  void record(c10::DeviceIndex* device, Event* event, int64_t* cpu_ns) const override {
    const int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                            std::chrono::steady_clock::now().time_since_epoch())
                            .count();
    if (device != nullptr) {
      *device = 0;
    }
    if (cpu_ns != nullptr) {
      *cpu_ns = now;
    }
    *event = std::make_shared<int64_t>(now);
  }
  float elapsed(const Event* first, const Event* second) const override {
    return static_cast<float>(time_of(*second) - time_of(*first)) / 1e3f;
  }
  void mark(const char*) const override {}
  void rangePush(const char*) const override {}
  void rangePop() const override {}
  bool enabled() const override { return true; }
  void onEachDevice(std::function<void(int)> act) const override { act(0); }
  void synchronize() const override {}

 private:
  static int64_t time_of(const Event& event) { return *static_cast<const int64_t*>(event.get()); }
};

}  // namespace

void become_device() {
  if (c10::impl::device_guard_impl_registry[static_cast<size_t>(c10::kCUDA)].load() != nullptr) {
    TORCH_CHECK(false, "vgpu: this PyTorch has a CUDA device guard of its own");
  }
  static Guard guard;
  c10::impl::device_guard_impl_registry[static_cast<size_t>(c10::kCUDA)].store(&guard);
  // `import torch` has already made the one object that at::detail::getCUDAHooks() answers with, so
  // the new hooks take its place in its own memory.
  static_assert(sizeof(Hooks) == sizeof(at::CUDAHooksInterface));
  new (const_cast<at::CUDAHooksInterface*>(&at::detail::getCUDAHooks())) Hooks;
  c10::SetAllocator(c10::kCUDA, device_allocator());
  static Profiler profiler;
  torch::profiler::impl::registerCUDAMethods(&profiler);
}

void set_current_stream(int64_t id) { current_stream_id = id; }
int64_t current_stream() { return current_stream_id; }

}  // namespace vgpu
