// Random numbers as CUDA's generator hands them out: Philox4x32-10, counted by an offset.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <c10/core/GeneratorImpl.h>

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

  // The offset as it was; the generator moves on.
  uint64_t advance(uint64_t increment);

 private:
  uint64_t seed_;
  uint64_t offset_ = 0;
};

const at::Generator& default_generator();
DeviceGenerator& generator_of(const std::optional<at::Generator>& generator);

// How many blocks of 256 threads the card runs at once: it decides which number an element gets.
void set_grid_limit(int64_t blocks);

// A CPU generator for operators whose device layout is not modelled: it depends on the device
// generator's seed and offset, and moves the offset on.
at::Generator cpu_stand_in(DeviceGenerator& generator);

at::Tensor& uniform_(at::Tensor& self, double from, double to, std::optional<at::Generator> generator);
at::Tensor& normal_(at::Tensor& self, double mean, double std, std::optional<at::Generator> generator);
at::Tensor& random_(at::Tensor& self, std::optional<at::Generator> generator);
at::Tensor& random_from_(at::Tensor& self, int64_t from, std::optional<int64_t> to,
                         std::optional<at::Generator> generator);
at::Tensor& random_to_(at::Tensor& self, int64_t to, std::optional<at::Generator> generator);

}  // namespace vgpu
