// CUDA's generator: a seed, and an offset that counts what each thread has drawn.
#pragma once

#include <ATen/core/Generator.h>
#include <c10/core/GeneratorImpl.h>

#include "philox.h"

namespace vgpu {

// A generator on cuda:0. Seed, offset and the 16 bytes of its state are CUDAGeneratorImpl's.
struct DeviceGenerator final : c10::GeneratorImpl {
  explicit DeviceGenerator(uint64_t seed = c10::default_rng_seed_val);

  void set_current_seed(uint64_t seed) override;
  void set_offset(uint64_t offset) override;
  uint64_t get_offset() const override { return offset_; }
  uint64_t current_seed() const override { return seed_; }
  uint64_t seed() override;
  void set_state(const c10::TensorImpl& state) override;
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override;
  DeviceGenerator* clone_impl() const override;

  // At least this many numbers for each thread; the generator moves on behind them.
  // ATen/cuda/CUDAGeneratorImpl.cpp, philox_cuda_state.
  Philox reserve(uint64_t numbers);

 private:
  uint64_t seed_;
  uint64_t offset_ = 0;
};

using MaybeGenerator = std::optional<at::Generator>;

const at::Generator& default_generator();
DeviceGenerator& generator_of(const MaybeGenerator& generator);

// A CPU generator for operators whose device layout is not modelled: it depends on the device
// generator's seed and offset, and moves the offset on as the device's kernel would.
at::Generator cpu_stand_in(DeviceGenerator& generator, uint64_t numbers);

}  // namespace vgpu
