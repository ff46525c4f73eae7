// Operators that fill a tensor. Checks and shapes are PyTorch's own functions, which ask a stub for the
// numbers: here are the stubs of the device, by ATen/native/cuda/DistributionTemplates.h.
#include "distributions.h"

#include <ATen/core/TransformationHelper.h>
#include <ATen/native/TensorIterator.h>
#include <ATen/native/UnaryOps.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "fallback.h"

namespace vgpu {
namespace {

using at::Tensor;
using at::TensorBase;
using at::TensorIteratorBase;

constexpr int64_t threads_a_block = 256;
int64_t grid_limit = 160;

Tensor output_of(TensorIteratorBase& iter) { return Tensor(iter.tensor_base(0)); }

// uniform_kernel: (0, 1] is turned into [0, 1). The compiler for CUDA makes one operation of a product
// and a sum.
void uniform(TensorIteratorBase& iter, double from, double to, MaybeGenerator generator) {
  const Tensor self = output_of(iter);
  const at::ScalarType dtype = self.scalar_type();
  const double low = rounded(from, dtype), high = rounded(to, dtype);
  const double range = rounded(high - low, dtype);
  fill_uniform(self, generator, [=](auto u) {
    using Number = decltype(u);
    const Number value = rounded(std::fma(u, Number(range), Number(low)), dtype);
    return value == high ? low : value;
  });
}

// normal_and_transform.
template <typename Transform>
void fill_normal(const Tensor& self, double mean, double std, const MaybeGenerator& generator,
                 Transform transform) {
  const auto place = [=](auto n) {
    using Number = decltype(n);
    return transform(std::fma(n, Number(std), Number(mean)));
  };
  if (self.scalar_type() == at::kDouble) {
    fill<double, 2>(self, generator, [&](const Draw& d) { return each(normal_doubles(d), place); });
  } else {
    fill<float, 4>(self, generator, [&](const Draw& d) { return each(normal_floats(d), place); });
  }
}

// normal_kernel and log_normal_kernel.
void normal(const TensorBase& self, double mean, double std, MaybeGenerator generator) {
  fill_normal(Tensor(self), mean, std, generator, [](auto n) { return n; });
}

void log_normal(TensorIteratorBase& iter, double mean, double std, MaybeGenerator generator) {
  fill_normal(output_of(iter), mean, std, generator,
              [](auto n) { return at::transformation::log_normal(n); });
}

// exponential_kernel. TransformationHelper.h, exponential, as compiled for CUDA: never 0.
void exponential(TensorIteratorBase& iter, double lambda, MaybeGenerator generator) {
  fill_uniform(output_of(iter), generator, [=](auto u) {
    using Number = decltype(u);
    constexpr Number least = std::numeric_limits<Number>::epsilon() / 2;
    return Number(-1) / static_cast<Number>(lambda) * (u >= 1 - least ? -least : std::log(u));
  });
}

void cauchy(TensorIteratorBase& iter, double median, double sigma, MaybeGenerator generator) {
  fill_uniform(output_of(iter), generator, [=](auto u) {
    return at::transformation::cauchy<decltype(u)>(u, median, sigma);
  });
}

void geometric(TensorIteratorBase& iter, double p, MaybeGenerator generator) {
  fill_uniform(output_of(iter), generator,
               [=](auto u) { return at::transformation::geometric<decltype(u)>(u, p); });
}

// bernoulli_kernel for one probability.
void bernoulli_of_one(const TensorBase& self, double p, MaybeGenerator generator) {
  fill_uniform(Tensor(self), generator,
               [=](auto u) { return at::transformation::bernoulli<decltype(u)>(u, p); });
}

// bernoulli_kernel for a probability each: a thread draws once, for four elements that follow each
// other (bernoulli_tensor_cuda_kernel; ATen/cuda/CUDAApplyUtils.cuh, CUDA_tensor_apply2).
void bernoulli_of_each(const TensorBase& target, const TensorBase& probabilities,
                       MaybeGenerator generator) {
  const Tensor self(target);
  TORCH_CHECK(probabilities.is_floating_point(),
              "expected probabilities tensor to have floating type, got ",
              probabilities.scalar_type());
  const Philox sequence = generator_of(generator).reserve(10);
  const auto dtype = self.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const Tensor p = Tensor(probabilities).to(self.options().dtype(dtype)).expand_as(self);
  if (!can_be_real(self) || !can_be_real(p)) {
    set_unknown(*block_of(self));
    return;
  }
  Tensor out = host_alias(self), chances = host_alias(p);
  if (self.strides() == p.strides()) {
    out = in_memory_order(out);
    chances = in_memory_order(chances);
  }
  chances = chances.to(at::kDouble).contiguous();
  double* chance = chances.mutable_data_ptr<double>();
  for (int64_t thread = 0; thread * 4 < self.numel(); ++thread) {
    const auto drawn = uniform_floats(sequence(thread));
    for (int64_t i = thread * 4; i < std::min(thread * 4 + 4, self.numel()); ++i) {
      const double p_in = chance[i];
      TORCH_CHECK(p_in >= 0 && p_in <= 1);
      chance[i] = drawn[i % 4] <= p_in;
    }
  }
  out.copy_(chances);
}

int64_t placed(uint64_t bits, uint64_t range, int64_t base) {
  return static_cast<int64_t>((range == 0 ? bits : bits % range) + static_cast<uint64_t>(base));
}

auto wide_integers(uint64_t range, int64_t base) {
  return [=](const Draw& d) {
    return std::array<int64_t, 2>{placed(wide(d[0], d[1]), range, base),
                                  placed(wide(d[2], d[3]), range, base)};
  };
}

void fill_integers(const Tensor& self, uint64_t range, int64_t base, bool use_64_bits,
                   const MaybeGenerator& generator) {
  if (use_64_bits) {
    fill<int64_t, 2>(self, generator, wide_integers(range, base));
  } else {
    fill<int64_t, 4>(self, generator, [=](const Draw& d) {
      return std::array<int64_t, 4>{placed(d[0], range, base), placed(d[1], range, base),
                                    placed(d[2], range, base), placed(d[3], range, base)};
    });
  }
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

// random_kernel.
void random(TensorIteratorBase& iter, MaybeGenerator generator) {
  const Tensor self = output_of(iter);
  const at::ScalarType dtype = self.scalar_type();
  fill_integers(self, values_of(dtype), 0, dtype == at::kLong || dtype == at::kDouble, generator);
}

// random_from_to_kernel: beyond 28 bits a remainder of 32 random bits would be too uneven.
void random_from_to(TensorIteratorBase& iter, uint64_t range, int64_t base,
                    MaybeGenerator generator) {
  fill_integers(output_of(iter), range, base, range >= uint64_t{1} << 28, generator);
}

// random_full_64_bits_range_kernel.
void random_of_all(TensorIteratorBase& iter, MaybeGenerator generator) {
  fill_integers(output_of(iter), 0, 0, /*use_64_bits=*/true, generator);
}

// The CPU's functions that are CUDA's too.
constexpr const char* shared[] = {
    "uniform_",      "random_",          "random_.from",      "random_.to",
    "normal_",       "log_normal_",      "exponential_",      "cauchy_",
    "geometric_",    "bernoulli_.float", "bernoulli_.Tensor", "bernoulli.out",
    "normal.Tensor_float", "normal.Tensor_float_out"};

void run_shared(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack* stack) {
  check_call(op, *stack);
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
}

// The same, for those that look at the values they are given before they draw for each element.
constexpr const char* shared_that_look[] = {
    "normal.float_Tensor",  "normal.float_Tensor_out",  "multinomial",
    "normal.Tensor_Tensor", "normal.Tensor_Tensor_out", "multinomial.out"};

void run_shared_that_looks(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
                           torch::jit::Stack* stack) {
  Tensor unseen;
  MaybeGenerator generator;
  for (const c10::IValue& argument : torch::jit::last(*stack, op.schema().arguments().size())) {
    if (argument.isTensor() && !can_be_real(argument.toTensor())) {
      unseen = argument.toTensor();
    } else if (argument.isGenerator()) {
      generator = argument.toGenerator();
    }
  }
  if (!unseen.defined()) {
    run_shared(op, keys, stack);
    return;
  }
  check_call(op, *stack);
  pass_over(generator_of(generator), unseen, unseen.scalar_type() == at::kDouble ? 2 : 4);
  op.redispatchBoxed(c10::DispatchKeySet(ghost_key), stack);
}

}  // namespace

void set_grid_limit(int64_t blocks) { grid_limit = blocks; }

Grid::Grid(int64_t count)
    : count(count),
      threads(std::min(grid_limit, divide_up(count, threads_a_block)) * threads_a_block) {}

void pass_over(DeviceGenerator& generator, const Tensor& tensor, int64_t unroll) {
  const auto can_use_32_bits = [&](int64_t count) {
    return (count - 1) * tensor.element_size() < std::numeric_limits<int32_t>::max();
  };
  const std::function<void(int64_t)> pass_parts = [&](int64_t count) {
    if (can_use_32_bits(count)) {
      Grid(count).reserve(generator, unroll);
    } else {
      pass_parts(count / 2);
      pass_parts(count - count / 2);
    }
  };
  Grid(tensor.numel()).reserve(generator, unroll);
  if (!can_use_32_bits(tensor.numel())) {
    pass_parts(tensor.numel());
  }
}

Tensor draw_wide_integers(DeviceGenerator& generator, int64_t count, uint64_t range, int64_t base) {
  return draw_numbers<int64_t, 2>(generator, count, wide_integers(range, base));
}

Tensor in_memory_order(const Tensor& tensor) {
  std::vector<int64_t> order(tensor.dim());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return tensor.stride(a) > tensor.stride(b);
  });
  return tensor.permute(order);
}

void register_distributions(torch::Library& library) {
  at::native::uniform_stub.set_cuda_dispatch_ptr(&uniform);
  at::native::normal_stub.set_cuda_dispatch_ptr(&normal);
  at::native::log_normal_stub.set_cuda_dispatch_ptr(&log_normal);
  at::native::exponential_stub.set_cuda_dispatch_ptr(&exponential);
  at::native::cauchy_stub.set_cuda_dispatch_ptr(&cauchy);
  at::native::geometric_stub.set_cuda_dispatch_ptr(&geometric);
  at::native::bernoulli_scalar_stub.set_cuda_dispatch_ptr(&bernoulli_of_one);
  at::native::bernoulli_tensor_stub.set_cuda_dispatch_ptr(&bernoulli_of_each);
  at::native::random_stub.set_cuda_dispatch_ptr(&random);
  at::native::random_from_to_stub.set_cuda_dispatch_ptr(&random_from_to);
  at::native::random_full_64_bits_range_stub.set_cuda_dispatch_ptr(&random_of_all);
  for (const char* name : shared) {
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&run_shared>());
  }
  for (const char* name : shared_that_look) {
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&run_shared_that_looks>());
  }
}

}  // namespace vgpu
