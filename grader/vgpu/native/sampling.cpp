// Random operators whose CUDA kernels are laid out each in its own way.
#include <ATen/native/Resize.h>
#include <ATen/native/TensorFactories.h>
#include <ATen/native/UnaryOps.h>

#include <cmath>
#include <tuple>
#include <utility>
#include <vector>

#include "distributions.h"
#include "rules.h"

namespace vgpu {
namespace {

using at::Tensor;

// ATen/native/cuda/Dropout.cu, get_vector_size.
int64_t vector_size(const Tensor& self) {
  if (!self.is_non_overlapping_and_dense()) {
    return 1;
  }
  const auto address = reinterpret_cast<uintptr_t>(self.const_data_ptr());
  int64_t size = 16 / self.element_size();
  while (size > 1 && (address % (size * self.element_size()) != 0 || self.numel() % size != 0)) {
    size /= 2;
  }
  return size;
}

// Which elements dropout keeps. A thread takes `vector` elements that follow each other, and a draw
// for each four of them: ATen/native/cuda/Dropout.cu, fused_dropout_kernel_vec. Without vectors they
// lie a whole grid apart: fused_dropout_kernel.
Tensor draw_kept(DeviceGenerator& generator, int64_t count, int64_t vector, double probability) {
  const auto keep = [=](uint32_t bits) { return uniform_float(bits) < probability; };
  if (vector == 1) {
    return draw_numbers<bool, 4>(generator, count, [&](const Draw& d) {
      return std::array<bool, 4>{keep(d[0]), keep(d[1]), keep(d[2]), keep(d[3])};
    });
  }
  const Grid grid(count);
  const Philox sequence = grid.reserve(generator, 4);
  const int64_t draws = std::max<int64_t>(1, vector / 4), used = std::min<int64_t>(4, vector);
  Tensor kept = at::empty({count}, at::kBool);
  bool* out = kept.mutable_data_ptr<bool>();
  for (int64_t i = 0; i < count / used; ++i) {
    const int64_t of_all = i / draws;  // the vector that this draw belongs to
    const Draw draw = sequence(of_all % grid.threads, of_all / grid.threads * draws + i % draws);
    for (int64_t part = 0; part < used; ++part) {
      out[i * used + part] = keep(draw[part]);
    }
  }
  return kept;
}

// ATen/native/cuda/Dropout.cu, native_dropout_cuda.
std::tuple<Tensor, Tensor> native_dropout(const Tensor& self, double p, std::optional<bool> train) {
  const auto of_mask = self.options().dtype(at::kBool);
  if (!train.value_or(true)) {
    return {self.clone(), at::ones_like(self, of_mask)};
  }
  if (p == 1) {
    return {at::zeros_like(self), at::zeros_like(self, of_mask)};
  }
  const Tensor mask = at::empty_like(self, of_mask);
  if (self.numel() == 0) {
    return {self.clone(), mask};
  }
  const Tensor result = at::empty_like(self);
  TORCH_CHECK_NOT_IMPLEMENTED(self.is_floating_point(), "\"fused_dropout\" not implemented for '",
                              self.scalar_type(), "'");
  DeviceGenerator& generator = generator_of(std::nullopt);
  if (!can_be_real(self) || !can_be_real(result) || !can_be_real(mask)) {
    Grid(self.numel()).reserve(generator, 4);
    set_unknown(*block_of(result));
    set_unknown(*block_of(mask));
    return {result, mask};
  }
  const auto computed = self.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const double probability = computed == at::kDouble ? 1 - p : static_cast<float>(1 - p);
  const int64_t vector = vector_size(self);
  const auto values = [&](const Tensor& tensor) {
    return vector > 1 ? in_memory_order(host_alias(tensor)) : host_alias(tensor);
  };
  const Tensor from = values(self);
  const Tensor kept = draw_kept(generator, self.numel(), vector, probability).view(from.sizes());
  values(mask).copy_(kept);
  values(result).copy_(from.to(computed) * kept * (1 / probability));
  return {result, mask};
}

// What randperm sorts by: random bits, and the sign where the sort looks at it, each with its place.
// ATen/native/cuda/Randperm.cu, randperm_out_cuda.
std::vector<std::pair<uint64_t, int64_t>> draw_keys(DeviceGenerator& generator, int64_t count) {
  const int64_t bits = bits_of_random_keys(count);
  const Tensor drawn = bits <= 32 ? draw_wide_integers(generator, count, UINT32_MAX, INT32_MIN)
                                  : draw_wide_integers(generator, count, UINT64_MAX, INT64_MIN);
  const uint64_t mask = ~uint64_t{0} >> (64 - bits);
  const uint64_t sign = bits == 32 || bits == 64 ? uint64_t{1} << (bits - 1) : 0;
  std::vector<std::pair<uint64_t, int64_t>> keys(count);
  for (int64_t i = 0; i < count; ++i) {
    keys[i] = {(static_cast<uint64_t>(drawn.const_data_ptr<int64_t>()[i]) & mask) ^ sign, i};
  }
  return keys;
}

// Shuffle what has equal keys. ATen/native/cuda/Randperm.cuh, randperm_handle_duplicate_keys_kernel.
void shuffle_equal(std::vector<std::pair<uint64_t, int64_t>>& sorted, const Philox& sequence) {
  for (size_t start = 0, end; start < sorted.size(); start = end) {
    for (end = start + 1; end < sorted.size() && sorted[end].first == sorted[start].first;) {
      ++end;
    }
    for (uint64_t last = end - start - 1, drawn = 0; last > 0; --last, ++drawn) {
      const uint32_t bits = sequence(start, drawn / 4)[drawn % 4];
      std::swap(sorted[start + last], sorted[start + bits % (last + 1)]);
    }
  }
}

Tensor& randperm(int64_t n, MaybeGenerator given, Tensor& result) {
  TORCH_CHECK(n >= 0, "n must be non-negative, got", n);
  at::native::check_supported_max_int_with_precision(n, result);
  result.resize_({n});
  if (n == 0) {
    return result;
  }
  const at::ScalarType type = result.scalar_type();
  TORCH_CHECK_NOT_IMPLEMENTED(type != at::kBFloat16, "\"randperm_out_cuda\" not implemented for '", type,
                              "'");
  Scratch scratch;
  take_copy(scratch, result);  // sorted apart where it does not lie together
  take_for_randperm(scratch, n, type);
  DeviceGenerator& generator = generator_of(given);
  if (!can_be_real(result)) {
    Grid(n).reserve(generator, 2);
    generator.reserve(n);
    set_unknown(*block_of(result));
    return result;
  }
  auto keys = draw_keys(generator, n);
  std::sort(keys.begin(), keys.end());
  shuffle_equal(keys, generator.reserve(n));
  Tensor shuffled = at::empty({n}, at::kLong);
  std::transform(keys.begin(), keys.end(), shuffled.mutable_data_ptr<int64_t>(),
                 [](const auto& key) { return key.second; });
  host_alias(result).copy_(shuffled);
  return result;
}

// The sum of each row. Where the device would end with an assertion, the CPU's words.
Tensor check_weights(const Tensor& weights) {
  const auto hold = [](const Tensor& conditions) { return conditions.all().item<bool>(); };
  constexpr const char* invalid = "invalid multinomial distribution (";
  TORCH_CHECK(hold(weights.ge(0)), invalid, "encountering probability entry < 0)");
  TORCH_CHECK(hold(weights.isfinite()), invalid,
              "encountering probability entry = infinity or NaN)");
  Tensor totals = weights.sum(1, /*keepdim=*/true);
  TORCH_CHECK(hold(totals.gt(0)), invalid, "sum of probabilities <= 0)");
  return totals;
}

// ATen/native/cuda/MultinomialKernel.cu, multinomial_with_replacement_kernel_impl: a thread draws one
// sample, and looks it up in the running sums (sampleMultinomialWithReplacement).
void multinomial_with_replacement(Tensor& result, const Tensor& self, int64_t samples,
                                  MaybeGenerator generator) {
  constexpr int64_t threads_a_block = 128, most_rows = 65535;
  const Tensor weights = self.dim() == 1 ? self.unsqueeze(0) : self;
  const int64_t rows = weights.size(0), categories = weights.size(1);
  const int64_t rows_at_once = std::min(rows, most_rows);
  const int64_t threads = divide_up(samples, threads_a_block) * threads_a_block;
  Scratch scratch;
  for (int copies = 0; copies < 3; ++copies) {  // the weights, their shares, the running sums
    take(scratch, self.nbytes());
  }
  result.resize_(self.dim() == 1 ? at::IntArrayRef{samples} : at::IntArrayRef{rows, samples});
  const Philox sequence = generator_of(generator).reserve(divide_up(rows, rows_at_once) * 4);
  if (!can_be_real(self) || !can_be_real(result)) {
    set_unknown(*block_of(result));
    return;
  }
  const at::ScalarType dtype = self.scalar_type();
  const Tensor host = host_alias(weights);
  const Tensor totals = check_weights(host);
  const Tensor shares = (host / totals).to(at::kDouble).contiguous();
  const Tensor sums = shares.to(dtype).cumsum(1).to(at::kDouble).contiguous();
  Tensor chosen = at::empty({rows, samples}, at::kLong);
  int64_t* out = chosen.mutable_data_ptr<int64_t>();
  for (int64_t row = 0; row < rows; ++row) {
    const double* share = shares.const_data_ptr<double>() + row * categories;
    const double* sum = sums.const_data_ptr<double>() + row * categories;
    for (int64_t sample = 0; sample < samples; ++sample) {
      const Draw draw = sequence(row % rows_at_once * threads + sample, row / rows_at_once);
      const double drawn = rounded<double>(uniform_float(draw[0]), dtype);
      int64_t choice = std::lower_bound(sum, sum + categories, drawn) - sum;
      choice = std::min(choice, categories - 1);
      while (choice > 0 && share[choice] == 0) {
        --choice;
      }
      *out++ = choice;
    }
  }
  host_alias(result).copy_(chosen.view(result.sizes()));
}

// ATen/native/cuda/RreluWithNoise.cu, rrelu_with_noise_out_cuda.
Tensor& rrelu_out(const Tensor& self, Tensor& noise, const at::Scalar& lower, const at::Scalar& upper,
                  bool training, MaybeGenerator generator, Tensor& out) {
  at::native::resize_output(out, self.sizes());
  if (self.numel() == 0) {
    return out;
  }
  const double low = lower.toDouble(), high = upper.toDouble();
  if (!training) {
    return at::leaky_relu_out(out, self, (low + high) / 2);
  }
  const at::ScalarType dtype = self.scalar_type();
  fill_uniform(noise, generator, [=](auto u) {
    return static_cast<decltype(u)>(rounded(u, dtype) * (high - low) + low);
  });
  if (!can_be_real(self) || !can_be_real(noise) || !can_be_real(out)) {
    set_unknown(*block_of(noise));
    set_unknown(*block_of(out));
    return out;
  }
  const Tensor input = host_alias(self), slopes = host_alias(noise);
  slopes.masked_fill_(input.le(0).logical_not(), 1);
  host_alias(out).copy_(input * slopes);
  return out;
}

Tensor rrelu(const Tensor& self, Tensor& noise, const at::Scalar& lower, const at::Scalar& upper,
             bool training, MaybeGenerator generator) {
  Tensor out = at::empty_like(self, LEGACY_CONTIGUOUS_MEMORY_FORMAT);
  return rrelu_out(self, noise, lower, upper, training, std::move(generator), out);
}

Tensor& rrelu_(Tensor& self, Tensor& noise, const at::Scalar& lower, const at::Scalar& upper,
               bool training, MaybeGenerator generator) {
  return rrelu_out(self, noise, lower, upper, training, std::move(generator), self);
}

// curand_poisson.h, curand_poisson_knuth: how many uniform numbers it takes.
int64_t poisson_by_knuth(const Philox& sequence, uint64_t thread, float rate) {
  int64_t drawn = 0;
  for (float product = std::exp(rate);;) {
    product *= uniform_float(sequence(thread, drawn / 4)[drawn % 4]);
    if (!(product > 1)) {
      return drawn;
    }
    ++drawn;
  }
}

// ATen/native/cuda/Distributions.cu, launch_poisson_cuda_kernel. From a rate of 64 on cuRAND goes
// other ways, which are not modelled.
Tensor poisson(const Tensor& self, MaybeGenerator given) {
  constexpr uint64_t numbers = 20;
  constexpr double highest = 64;
  const Tensor result = at::empty(self.sizes(), self.options());
  DeviceGenerator& generator = generator_of(given);
  if (self.numel() == 0) {
    return result;
  }
  if (!can_be_real(self) || !can_be_real(result)) {
    generator.reserve(numbers);
    set_unknown(*block_of(result));
    return result;
  }
  const Tensor host = host_alias(self);
  TORCH_CHECK(host.ge(0).all().item<bool>(),
              "invalid Poisson rate, expected rate to be non-negative");
  if (!(host.max().item<double>() < highest)) {
    host_alias(result).copy_(at::poisson(host, cpu_stand_in(generator, numbers)));
    return result;
  }
  const Philox sequence = generator.reserve(numbers);
  Tensor counts = host.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true).contiguous();
  auto* count = counts.mutable_data_ptr<float>();
  for (int64_t i = 0; i < self.numel(); ++i) {
    count[i] = static_cast<float>(poisson_by_knuth(sequence, i, count[i]));
  }
  host_alias(result).copy_(counts);
  return result;
}

}  // namespace

void register_sampling(torch::Library& library) {
  at::native::multinomial_with_replacement_stub.set_cuda_dispatch_ptr(
      &multinomial_with_replacement);
  library.impl("native_dropout", &native_dropout);
  library.impl("randperm.generator_out", &randperm);
  library.impl("rrelu_with_noise", &rrelu);
  library.impl("rrelu_with_noise.out", &rrelu_out);
  library.impl("rrelu_with_noise_", &rrelu_);
  library.impl("poisson", &poisson);
}

}  // namespace vgpu
