// Philox4x32-10, and the numbers that cuRAND makes of its words.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace vgpu {

using Draw = std::array<uint32_t, 4>;

// A stretch of random numbers: each thread has a sequence of its own, which begins at `counter`.
struct Philox {
  uint64_t seed;
  uint64_t counter;

  // Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.
  Draw operator()(uint64_t thread, uint64_t further = 0) const {
    const uint64_t place = counter + further;
    Draw c{static_cast<uint32_t>(place), static_cast<uint32_t>(place >> 32),
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
};

constexpr float two_pow_32_inv = 2.3283064e-10F;
constexpr double two_pow_53_inv = 1.1102230246251565e-16;
constexpr double pi = 3.14159265358979323846;

inline uint64_t wide(uint32_t high, uint32_t low) { return (uint64_t{high} << 32) | low; }

// curand_uniform.h, _curand_uniform and _curand_uniform_double_hq: in (0, 1].
inline float uniform_float(uint32_t bits) { return bits * two_pow_32_inv + two_pow_32_inv / 2; }
inline double uniform_double(uint32_t low, uint32_t high) {
  const uint64_t bits = uint64_t{low} ^ (uint64_t{high} << 21);
  return bits * two_pow_53_inv + two_pow_53_inv / 2;
}
inline std::array<float, 4> uniform_floats(const Draw& d) {
  return {uniform_float(d[0]), uniform_float(d[1]), uniform_float(d[2]), uniform_float(d[3])};
}
inline std::array<double, 2> uniform_doubles(const Draw& d) {
  return {uniform_double(d[0], d[1]), uniform_double(d[2], d[3])};
}

// curand_normal.h, _curand_box_muller and _curand_box_muller_double.
inline std::array<float, 2> box_muller(uint32_t first, uint32_t second) {
  constexpr float scale = two_pow_32_inv * 6.2831855F;
  const float radius = std::sqrt(-2.0F * std::log(uniform_float(first)));
  const float angle = second * scale + scale / 2;
  return {std::sin(angle) * radius, std::cos(angle) * radius};
}
inline std::array<float, 4> normal_floats(const Draw& d) {
  const auto first = box_muller(d[0], d[1]), second = box_muller(d[2], d[3]);
  return {first[0], first[1], second[0], second[1]};
}
inline std::array<double, 2> normal_doubles(const Draw& d) {
  const auto [first, second] = uniform_doubles(d);
  const double radius = std::sqrt(-2.0 * std::log(first));
  return {std::sin(2 * pi * second) * radius, std::cos(2 * pi * second) * radius};
}

}  // namespace vgpu
