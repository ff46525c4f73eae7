#include "memory.h"

#include <ATen/ATen.h>
#include <Python.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <map>

#include "ledger.h"
#include "signals.h"

namespace vgpu {
namespace {

// A small storage is real from birth; a larger one when something needs its values, so that a list
// of untouched zeros costs the host nothing.
constexpr size_t real_from_birth_bytes = size_t{64} << 10;

size_t real_limit_bytes = size_t{64} << 20;

std::mutex deaths_mutex;
std::vector<Death> deaths;
std::atomic<uint64_t> epoch{0};
std::atomic<int64_t> live{0};

// Every block by its address, for storages that do not own their bytes.
std::mutex blocks_mutex;
std::map<const char*, Block*> blocks;

// Runs wherever the last reference goes: any thread, with or without the interpreter's lock, in the
// middle of an allocation. So it only notes the death; the ledger learns of it before its next
// decision.
void bury(void* context) {
  auto* block = static_cast<Block*>(context);
  {
    std::lock_guard<std::mutex> lock(blocks_mutex);
    const auto entry = blocks.find(block->data);
    if (entry != blocks.end() && entry->second == block) {
      blocks.erase(entry);
    }
  }
  if (block->values == Values::real) {
    arena().close(block->data, block->nbytes);
  }
  --live;
  if (block->epoch == epoch) {
    std::lock_guard<std::mutex> lock(deaths_mutex);
    deaths.push_back({reinterpret_cast<uintptr_t>(block->data), block->nbytes, block->counted});
  }
  delete block;
}

// Where torch asks for device memory without a tensor type: storages made by hand.
struct DeviceAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t nbytes) override { return vgpu::allocate(nbytes, at::kByte); }
  void copy_data(void* destination, const void* source, size_t nbytes) const override {
    std::memcpy(destination, source, nbytes);
  }
};

}  // namespace

Arena& arena() {
  static Arena* one = new Arena;
  return *one;
}

void Arena::reserve() {
  if (base_ != nullptr) {
    return;
  }
  for (size_t tebi_quarters : {64, 16, 4, 1}) {
    const size_t span = tebi_quarters << 38;
    void* start = mmap(nullptr, span + chunk_bytes, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start != MAP_FAILED) {
      const auto address = reinterpret_cast<uintptr_t>(start);
      base_ = reinterpret_cast<char*>((address + chunk_bytes - 1) / chunk_bytes * chunk_bytes);
      span_ = span;
      return;
    }
  }
  TORCH_CHECK(false, "vgpu: the system grants no address range for the virtual GPU");
}

bool Arena::open(char* data, size_t nbytes) {
  if (data < base_ || data + nbytes > base_ + span_) {
    return false;
  }
  std::lock_guard<std::mutex> lock(mutex_);
  const size_t first = (data - base_) / chunk_bytes;
  const size_t last = (data - base_ + nbytes - 1) / chunk_bytes;
  const auto needed = [&] {
    size_t closed = 0;
    for (size_t chunk = first; chunk <= last; ++chunk) {
      closed += users_.count(chunk) == 0;
    }
    return closed * chunk_bytes;
  };
  if (open_bytes_ + needed() > budget_) {
    seal_idle();
    if (open_bytes_ + needed() > budget_) {
      return false;
    }
  }
  if (needed() > 0 &&
      mprotect(base_ + first * chunk_bytes, (last - first + 1) * chunk_bytes,
               PROT_READ | PROT_WRITE) != 0) {
    return false;
  }
  for (size_t chunk = first; chunk <= last; ++chunk) {
    auto [entry, opened] = users_.try_emplace(chunk, 0);
    if (opened) {
      open_bytes_ += chunk_bytes;
    } else if (entry->second == 0) {
      idle_bytes_ -= chunk_bytes;
    }
    ++entry->second;
  }
  return true;
}

void Arena::close(char* data, size_t nbytes) {
  constexpr size_t idle_limit = size_t{64} << 20;
  std::lock_guard<std::mutex> lock(mutex_);
  const size_t first = (data - base_) / chunk_bytes;
  const size_t last = (data - base_ + nbytes - 1) / chunk_bytes;
  for (size_t chunk = first; chunk <= last; ++chunk) {
    auto entry = users_.find(chunk);
    if (entry != users_.end() && entry->second > 0 && --entry->second == 0) {
      idle_bytes_ += chunk_bytes;
    }
  }
  if (idle_bytes_ > idle_limit) {
    seal_idle();
  }
}

void Arena::seal_idle() {
  for (auto entry = users_.begin(); entry != users_.end();) {
    if (entry->second != 0) {
      ++entry;
      continue;
    }
    char* start = base_ + entry->first * chunk_bytes;
    madvise(start, chunk_bytes, MADV_DONTNEED);
    mprotect(start, chunk_bytes, PROT_NONE);
    open_bytes_ -= chunk_bytes;
    idle_bytes_ -= chunk_bytes;
    entry = users_.erase(entry);
  }
}

void set_real_limit(size_t nbytes) { real_limit_bytes = nbytes; }
size_t real_limit() { return real_limit_bytes; }

c10::DataPtr allocate(size_t nbytes, at::ScalarType dtype) {
  const c10::Device device(c10::kCUDA, 0);
  if (nbytes == 0) {
    return {nullptr, device};
  }
  Born born;
  {
    SignalsHeld held;
    born = ledger_birth(nbytes, dtype);
  }
  auto* block = new Block{reinterpret_cast<char*>(born.address), nbytes, epoch, born.counted,
                          Values::fresh, {}};
  ++live;
  {
    std::lock_guard<std::mutex> lock(blocks_mutex);
    blocks[block->data] = block;
  }
  c10::DataPtr owner(block->data, block, &bury, device);
  if (nbytes <= real_from_birth_bytes) {
    make_real(*block);
  }
  return owner;
}

Block* block_of(const at::Tensor& tensor) {
  if (!tensor.has_storage()) {
    return nullptr;
  }
  const c10::DataPtr& owner = tensor.unsafeGetTensorImpl()->unsafe_storage().data_ptr();
  if (owner.get_deleter() == &bury) {
    return static_cast<Block*>(owner.get_context());
  }
  if (owner.get() == nullptr) {
    return nullptr;
  }
  const auto* data = static_cast<const char*>(owner.get());
  std::lock_guard<std::mutex> lock(blocks_mutex);
  auto after = blocks.upper_bound(data);
  if (after == blocks.begin()) {
    return nullptr;
  }
  Block* before = std::prev(after)->second;
  return data < before->data + before->nbytes ? before : nullptr;
}

bool make_real(Block& block) { return make_real(block, block.nbytes); }

bool make_real(Block& block, size_t written_bytes) {
  if (block.values == Values::real) {
    return true;
  }
  if (block.values == Values::unknown || written_bytes > real_limit_bytes ||
      !arena().open(block.data, block.nbytes)) {
    return false;
  }
  if (block.values == Values::pattern) {
    const size_t step = block.pattern.nbytes();
    const char* source = static_cast<const char*>(block.pattern.const_data_ptr());
    for (size_t at = 0; at < block.nbytes; at += step) {
      std::memcpy(block.data + at, source, std::min(step, block.nbytes - at));
    }
    block.pattern.reset();
  }
  block.values = Values::real;
  return true;
}

at::Tensor host_alias(const at::Tensor& tensor) {
  const c10::TensorImpl* original = tensor.unsafeGetTensorImpl();
  Block* block = block_of(tensor);
  if (block == nullptr) {
    const auto options = tensor.options().device(at::kCPU).requires_grad(false);
    if (tensor._is_zerotensor()) {
      return at::zeros({}, options).expand(tensor.sizes());
    }
    TORCH_CHECK_NOT_IMPLEMENTED(
        tensor.numel() == 0, "vgpu: memory that is not the device's is not modelled on the virtual GPU");
    return at::empty_strided(tensor.sizes(), tensor.strides(), options);
  }
  TORCH_INTERNAL_ASSERT(block->values == Values::real);
  const c10::Storage& storage = original->unsafe_storage();
  c10::Storage bytes(c10::Storage::use_byte_size_t(), storage.nbytes(),
                     c10::DataPtr(storage.mutable_data(), c10::Device(c10::kCPU)),
                     c10::GetCPUAllocator(), /*resizable=*/true);
  auto host = c10::make_intrusive<c10::TensorImpl>(
      std::move(bytes), c10::DispatchKeySet(c10::DispatchKey::CPU), original->dtype());
  host->set_sizes_and_strides(original->sizes(), original->strides(), original->storage_offset());
  if (original->is_wrapped_number()) {
    host->set_wrapped_number(true);
  }
  host->_set_conj(tensor.is_conj());
  host->_set_neg(tensor.is_neg());
  return at::Tensor(std::move(host));
}

bool covers_storage(const at::Tensor& tensor) {
  const Block* block = block_of(tensor);
  return block != nullptr && tensor.is_non_overlapping_and_dense() &&
      tensor.nbytes() == block->nbytes;
}

void set_pattern(Block& block, at::Tensor pattern) {
  if (block.values == Values::real) {
    arena().close(block.data, block.nbytes);
  }
  block.values = Values::pattern;
  block.pattern = std::move(pattern);
}

void set_unknown(Block& block) {
  if (block.values == Values::real) {
    arena().close(block.data, block.nbytes);
  }
  block.values = Values::unknown;
  block.pattern.reset();
}

std::vector<Death> take_deaths() {
  std::lock_guard<std::mutex> lock(deaths_mutex);
  return std::exchange(deaths, {});
}

size_t live_blocks() { return live; }

void begin_epoch() {
  std::lock_guard<std::mutex> lock(deaths_mutex);
  ++epoch;
  deaths.clear();
}

c10::Allocator* device_allocator() {
  static DeviceAllocator one;
  return &one;
}

}  // namespace vgpu
