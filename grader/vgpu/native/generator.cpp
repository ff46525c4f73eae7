#include "generator.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cstring>
#include <utility>

namespace vgpu {
namespace {

constexpr size_t state_bytes = 16;

}  // namespace

DeviceGenerator::DeviceGenerator(uint64_t seed)
    : c10::GeneratorImpl(c10::Device(c10::kCUDA, 0), c10::DispatchKeySet(c10::DispatchKey::CUDA)),
      seed_(seed) {}

void DeviceGenerator::set_current_seed(uint64_t seed) {
  seed_ = seed;
  offset_ = 0;
}
void DeviceGenerator::set_offset(uint64_t offset) { offset_ = offset; }
uint64_t DeviceGenerator::seed() {
  set_current_seed(c10::detail::getNonDeterministicRandom(true));
  return seed_;
}
void DeviceGenerator::set_state(const c10::TensorImpl& state) {
  TORCH_CHECK(state.dtype() == at::kByte && state.device().is_cpu(),
              "RNG state must be a torch.ByteTensor");
  TORCH_CHECK(state.numel() == state_bytes || state.numel() == state_bytes / 2,
              "RNG state is wrong size");
  const char* bytes = static_cast<const char*>(state.data());
  std::memcpy(&seed_, bytes, sizeof(seed_));
  offset_ = 0;
  if (state.numel() == state_bytes) {
    std::memcpy(&offset_, bytes + sizeof(seed_), sizeof(offset_));
  }
}
c10::intrusive_ptr<c10::TensorImpl> DeviceGenerator::get_state() const {
  at::Tensor state = at::empty({state_bytes}, at::kByte);
  auto* bytes = static_cast<char*>(state.mutable_data_ptr());
  std::memcpy(bytes, &seed_, sizeof(seed_));
  std::memcpy(bytes + sizeof(seed_), &offset_, sizeof(offset_));
  return state.getIntrusivePtr();
}
DeviceGenerator* DeviceGenerator::clone_impl() const {
  auto* copy = new DeviceGenerator(seed_);
  copy->offset_ = offset_;
  return copy;
}
Philox DeviceGenerator::reserve(uint64_t numbers) {
  return {seed_, std::exchange(offset_, offset_ + (numbers + 3) / 4 * 4) / 4};
}

const at::Generator& default_generator() {
  static const auto* one = new at::Generator(at::make_generator<DeviceGenerator>());
  return *one;
}

DeviceGenerator& generator_of(const MaybeGenerator& generator) {
  const at::Generator& chosen =
      generator.has_value() && generator->defined() ? *generator : default_generator();
  TORCH_CHECK(chosen.device().is_cuda(), "Expected a 'cuda' device type for generator but found '",
              chosen.device().type(), "'");
  return *static_cast<DeviceGenerator*>(chosen.unsafeGetGeneratorImpl());
}

at::Generator cpu_stand_in(DeviceGenerator& generator, uint64_t numbers) {
  const Draw draw = generator.reserve(numbers)(/*thread=*/0);
  return at::make_generator<at::CPUGeneratorImpl>(wide(draw[0], draw[1]));
}

}  // namespace vgpu
