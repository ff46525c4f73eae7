#include "generator.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "memory.h"

namespace vgpu {
namespace {

constexpr int64_t threads_a_block = 256;
constexpr size_t state_bytes = 16;
int64_t grid_limit = 160;

using Draw = std::array<uint32_t, 4>;

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
Draw philox(uint64_t counter, uint64_t thread, uint64_t seed) {
  Draw c{static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32),
         static_cast<uint32_t>(thread), static_cast<uint32_t>(thread >> 32)};
  auto key0 = static_cast<uint32_t>(seed);
  auto key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t low = uint64_t{0xD2511F53} * c[0];
    const uint64_t high = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(high >> 32) ^ c[1] ^ key0, static_cast<uint32_t>(high),
         static_cast<uint32_t>(low >> 32) ^ c[3] ^ key1, static_cast<uint32_t>(low)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return c;
}

// Calls `put(first, draw, step)` for each draw: its components belong to elements first,
// first + step, ... Layout: ATen/native/cuda/DistributionTemplates.h, calc_execution_policy and
// distribution_elementwise_grid_stride_kernel.
template <typename Put>
void each_draw(DeviceGenerator& generator, int64_t count, int64_t unroll, Put put) {
  const int64_t grid = std::min(grid_limit, (count + threads_a_block - 1) / threads_a_block);
  const int64_t threads = grid * threads_a_block;
  const int64_t rounds = (count - 1) / (threads * unroll) + 1;
  const uint64_t counter = generator.advance(rounds * 4) / 4;
  const uint64_t seed = generator.current_seed();
  for (int64_t round = 0; round < rounds; ++round) {
    const int64_t start = round * threads * unroll;
    const int64_t busy = std::min(threads, count - start);
    for (int64_t thread = 0; thread < busy; ++thread) {
      put(start + thread, philox(counter + round, thread, seed), threads);
    }
  }
}

// Numbers for a tensor's elements in the order of their memory, or unknown values where they cannot
// be in memory; the generator moves on in either case.
template <typename Number, int unroll, typename Transform>
at::Tensor& draw_into(at::Tensor& self, const std::optional<at::Generator>& generator,
                      Transform transform) {
  const int64_t count = self.numel();
  DeviceGenerator& source = generator_of(generator);
  if (count == 0) {
    return self;
  }
  Block* block = block_of(self);
  if (!make_real(*block)) {
    each_draw(source, 1, unroll, [](int64_t, const Draw&, int64_t) {});
    const int64_t grid = std::min(grid_limit, (count + threads_a_block - 1) / threads_a_block);
    source.advance(((count - 1) / (grid * threads_a_block * unroll)) * 4);
    set_unknown(*block);
    return self;
  }
  at::Tensor numbers = at::empty({count}, c10::CppTypeToScalarType<Number>::value);
  auto* out = numbers.mutable_data_ptr<Number>();
  each_draw(source, count, unroll, [&](int64_t first, const Draw& draw, int64_t step) {
    const std::array<Number, unroll> values = transform(draw);
    for (int part = 0; part < unroll && first + part * step < count; ++part) {
      out[first + part * step] = values[part];
    }
  });
  at::Tensor target = host_alias(self);
  if (target.is_non_overlapping_and_dense()) {
    target = target.as_strided({count}, {1});
    target.copy_(numbers);
  } else {
    target.copy_(numbers.view(target.sizes()));
  }
  return self;
}

constexpr float two_pow_32_inv = 2.3283064e-10F;
constexpr double two_pow_53_inv = 1.1102230246251565e-16;
constexpr double pi = 3.14159265358979323846;

// curand_uniform.h, _curand_uniform and _curand_uniform_double_hq.
float uniform_float(uint32_t bits) { return bits * two_pow_32_inv + two_pow_32_inv / 2; }
double uniform_double(uint32_t low, uint32_t high) {
  const uint64_t bits = uint64_t{low} ^ (uint64_t{high} << 21);
  return bits * two_pow_53_inv + two_pow_53_inv / 2;
}

// curand_normal.h, _curand_box_muller and _curand_box_muller_double.
std::array<float, 2> normal_floats(uint32_t first, uint32_t second) {
  constexpr float scale = two_pow_32_inv * 6.2831855F;
  const float radius = std::sqrt(-2.0F * std::log(uniform_float(first)));
  const float angle = second * scale + scale / 2;
  return {std::sin(angle) * radius, std::cos(angle) * radius};
}
std::array<double, 2> normal_doubles(const Draw& draw) {
  const double radius = std::sqrt(-2.0 * std::log(uniform_double(draw[0], draw[1])));
  const double angle = 2 * pi * uniform_double(draw[2], draw[3]);
  return {std::sin(angle) * radius, std::cos(angle) * radius};
}

uint64_t wide(uint32_t high, uint32_t low) { return (uint64_t{high} << 32) | low; }

at::Tensor& integers_(at::Tensor& self, uint64_t range, int64_t base, bool use_64_bits,
                      const std::optional<at::Generator>& generator) {
  const auto place = [range, base](uint64_t bits) {
    return static_cast<int64_t>((range == 0 ? bits : bits % range) + static_cast<uint64_t>(base));
  };
  if (use_64_bits) {
    return draw_into<int64_t, 2>(self, generator, [&](const Draw& d) {
      return std::array<int64_t, 2>{place(wide(d[0], d[1])), place(wide(d[2], d[3]))};
    });
  }
  return draw_into<int64_t, 4>(self, generator, [&](const Draw& d) {
    return std::array<int64_t, 4>{place(d[0]), place(d[1]), place(d[2]), place(d[3])};
  });
}

// The largest value of a dtype that random_() reaches, plus one; floats count to their precision.
uint64_t values_of(at::ScalarType dtype) {
  switch (dtype) {
    case at::kBool: return 2;
    case at::kByte: return uint64_t{1} << 8;
    case at::kChar: return uint64_t{1} << 7;
    case at::kShort: return uint64_t{1} << 15;
    case at::kInt: return uint64_t{1} << 31;
    case at::kLong: return uint64_t{1} << 63;
    case at::kHalf: return (uint64_t{1} << 11) + 1;
    case at::kBFloat16: return (uint64_t{1} << 8) + 1;
    case at::kFloat: return (uint64_t{1} << 24) + 1;
    case at::kDouble: return (uint64_t{1} << 53) + 1;
    default: TORCH_CHECK(false, "vgpu: random_ is not modelled for ", dtype);
  }
}

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
uint64_t DeviceGenerator::advance(uint64_t increment) {
  return std::exchange(offset_, offset_ + increment);
}

const at::Generator& default_generator() {
  static const auto* one = new at::Generator(at::make_generator<DeviceGenerator>());
  return *one;
}

DeviceGenerator& generator_of(const std::optional<at::Generator>& generator) {
  const at::Generator& chosen =
      generator.has_value() && generator->defined() ? *generator : default_generator();
  TORCH_CHECK(chosen.device().is_cuda(), "Expected a 'cuda' device type for generator but found '",
              chosen.device().type(), "'");
  return *static_cast<DeviceGenerator*>(chosen.unsafeGetGeneratorImpl());
}

void set_grid_limit(int64_t blocks) { grid_limit = blocks; }

at::Generator cpu_stand_in(DeviceGenerator& generator) {
  const Draw draw = philox(generator.advance(4) / 4, 0, generator.current_seed());
  return at::make_generator<at::CPUGeneratorImpl>(wide(draw[0], draw[1]));
}

// ATen/native/cuda/DistributionTemplates.h, uniform_kernel: (0, 1] is turned into [0, 1).
at::Tensor& uniform_(at::Tensor& self, double from, double to,
                     std::optional<at::Generator> generator) {
  TORCH_CHECK(from <= to, "uniform_ expects to return a [from, to) range, but found from=", from,
              " > to=", to);
  if (self.is_complex()) {
    at::Tensor parts = at::view_as_real(self);
    uniform_(parts, from, to, std::move(generator));
    return self;
  }
  if (self.scalar_type() == at::kDouble) {
    return draw_into<double, 2>(self, generator, [&](const Draw& d) {
      const auto place = [&](double u) {
        const double value = u * (to - from) + from;
        return value == to ? from : value;
      };
      return std::array<double, 2>{place(uniform_double(d[0], d[1])),
                                   place(uniform_double(d[2], d[3]))};
    });
  }
  const auto low = static_cast<float>(from);
  const auto high = static_cast<float>(to);
  const at::ScalarType dtype = self.scalar_type();
  const auto place = [&](uint32_t bits) {
    float value = uniform_float(bits) * (high - low) + low;
    if (dtype == at::kHalf) {
      value = static_cast<float>(c10::Half(value));
    } else if (dtype == at::kBFloat16) {
      value = static_cast<float>(c10::BFloat16(value));
    }
    return value == high ? low : value;
  };
  return draw_into<float, 4>(self, generator, [&](const Draw& d) {
    return std::array<float, 4>{place(d[0]), place(d[1]), place(d[2]), place(d[3])};
  });
}

at::Tensor& normal_(at::Tensor& self, double mean, double std,
                    std::optional<at::Generator> generator) {
  TORCH_CHECK(std >= 0.0, "normal expects std >= 0.0, but found std ", std);
  if (self.is_complex()) {
    // ATen/native/DistributionTemplates.h, normal_impl_: each part has half of the variance.
    at::Tensor parts = at::view_as_real(self);
    normal_(parts, mean, std / std::sqrt(2.0), std::move(generator));
    return self;
  }
  if (self.scalar_type() == at::kDouble) {
    return draw_into<double, 2>(self, generator, [&](const Draw& d) {
      auto pair = normal_doubles(d);
      return std::array<double, 2>{pair[0] * std + mean, pair[1] * std + mean};
    });
  }
  const auto scale = static_cast<float>(std);
  const auto shift = static_cast<float>(mean);
  return draw_into<float, 4>(self, generator, [&](const Draw& d) {
    const auto first = normal_floats(d[0], d[1]);
    const auto second = normal_floats(d[2], d[3]);
    return std::array<float, 4>{first[0] * scale + shift, first[1] * scale + shift,
                                second[0] * scale + shift, second[1] * scale + shift};
  });
}

// ATen/native/cuda/DistributionTemplates.h, random_kernel.
at::Tensor& random_(at::Tensor& self, std::optional<at::Generator> generator) {
  const at::ScalarType dtype = self.scalar_type();
  return integers_(self, values_of(dtype), 0, dtype == at::kLong || dtype == at::kDouble, generator);
}

// ATen/native/cuda/DistributionTemplates.h, random_from_to_kernel: beyond 28 bits a remainder of 32
// random bits would be too uneven.
at::Tensor& random_from_(at::Tensor& self, int64_t from, std::optional<int64_t> to,
                         std::optional<at::Generator> generator) {
  uint64_t range = 0;
  if (to.has_value()) {
    TORCH_CHECK(from < *to, "random_ expects 'from' to be less than 'to', but got from=", from,
                " >= to=", *to);
    range = static_cast<uint64_t>(*to) - static_cast<uint64_t>(from);
  } else if (from != std::numeric_limits<int64_t>::lowest()) {
    range = values_of(self.scalar_type()) - static_cast<uint64_t>(from);
  }
  return integers_(self, range, from, range == 0 || range >= uint64_t{1} << 28, generator);
}

at::Tensor& random_to_(at::Tensor& self, int64_t to, std::optional<at::Generator> generator) {
  return random_from_(self, 0, to, std::move(generator));
}

}  // namespace vgpu
