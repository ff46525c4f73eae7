// Device memory as the host sees it: one reserved address range whose pages are opened only where a
// tensor holds values, and the birth and death of storages.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Allocator.h>

#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "account.h"

namespace vgpu {

// What is known about the bytes of a storage.
enum class Values : int {
  real = 0,     // they are in memory, which is open
  fresh = 1,    // never written: whatever they are is right
  pattern = 2,  // the elements repeat a short one-dimensional CPU tensor
  unknown = 3,  // computed from something too large to compute
};

// The context of a device storage's DataPtr.
struct Block {
  char* data;
  size_t nbytes;
  uint64_t epoch;
  Counted counted;
  Values values;
  at::Tensor pattern;
};

// The reserved range. Pages are opened and sealed in chunks, since a mapping per tensor would reach
// the kernel's limit on mappings; an open chunk counts for RLIMIT_DATA, a sealed one does not.
class Arena {
 public:
  static constexpr size_t chunk_bytes = size_t{2} << 20;

  // Reserve the range; the first of the sizes the system grants. Throws where it grants none.
  void reserve();
  // False where the budget, or the process' own limit, does not allow these bytes to be real.
  bool open(char* data, size_t nbytes);
  void close(char* data, size_t nbytes);

  char* base() const { return base_; }
  size_t span() const { return span_; }
  size_t open_bytes() const { return open_bytes_; }
  void set_budget(size_t nbytes) { budget_ = nbytes; }

 private:
  void seal_idle();  // the lock is held

  std::mutex mutex_;
  char* base_ = nullptr;
  size_t span_ = 0;
  size_t open_bytes_ = 0;  // of chunks that are readable and writable
  size_t idle_bytes_ = 0;  // of those, the ones no storage uses
  size_t budget_ = size_t{512} << 20;
  std::unordered_map<size_t, uint32_t> users_;  // open chunk -> storages with real values in it
};

Arena& arena();

// Above this a storage is never real.
void set_real_limit(size_t nbytes);
size_t real_limit();

// Ask the ledger (Python) for memory. Throws c10::OutOfMemoryError in the ledger's words.
c10::DataPtr allocate(size_t nbytes, at::ScalarType dtype);

// The block behind a device tensor; null for one without bytes. A storage that was made over the bytes
// of another one (DLPack, the pickling of a storage) has the other's block, found by its address.
Block* block_of(const at::Tensor& tensor);

// True once the values are in memory; false where they cannot be. Of a storage that is larger than what
// will be written to it, the rest costs nothing but addresses.
bool make_real(Block& block);
bool make_real(Block& block, size_t written_bytes);

// The CPU tensor over the same bytes, which must be real. It does not own them: resizing it gives it
// other memory and leaves the device's alone.
at::Tensor host_alias(const at::Tensor& tensor);

// True where the tensor covers its storage, each byte once.
bool covers_storage(const at::Tensor& tensor);

void set_pattern(Block& block, at::Tensor pattern);
void set_unknown(Block& block);

// Storages that died since the last call, oldest first. What died before the last reset is forgotten
// with its ledger.
std::vector<Death> take_deaths();
size_t live_blocks();
void begin_epoch();

c10::Allocator* device_allocator();

}  // namespace vgpu
