#pragma once

#include <cstdint>

namespace vgpu {

// Register the guard, the hooks and the allocator. Throws where a real one is present.
void become_device();

// Streams are names only: everything happens at once.
void set_current_stream(int64_t id);
int64_t current_stream();

}  // namespace vgpu
