#include "special.h"

#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>
#include <ATen/native/transformers/attention.h>
#include <ATen/native/transformers/sdp_utils_cpp.h>

#include <array>
#include <cmath>
#include <functional>
#include <tuple>

#include "fallback.h"
#include "generator.h"
#include "memory.h"
#include "scratch.h"

namespace vgpu {

using at::Tensor;

Tensor on_host(const Tensor& tensor) {
  if (!tensor.defined() || !tensor.is_cuda()) {
    return tensor;
  }
  Block* block = block_of(tensor);
  TORCH_CHECK_NOT_IMPLEMENTED(block == nullptr || make_real(*block),
                              "vgpu: this operator is not modelled on tensors too large to be "
                              "computed with (shape ", tensor.sizes(), ")");
  return host_alias(tensor);
}

bool given(const Maybe& tensor) { return tensor.has_value() && tensor->defined(); }

namespace {

Tensor on_host_or_zeros(const Maybe& tensor, const Tensor& like) {
  return given(tensor) ? on_host(*tensor) : at::zeros_like(like);
}

// ATen/native/cuda/RNN.cu, lstm_cell_forward; the workspace keeps the gates after activation.
std::tuple<Tensor, Tensor, Tensor> lstm_cell(const Tensor& input_gates, const Tensor& hidden_gates,
                                             const Tensor& cx, const Maybe& input_bias,
                                             const Maybe& hidden_bias) {
  Tensor gates = on_host(input_gates) + on_host(hidden_gates);
  if (given(input_bias)) {
    gates += on_host(*input_bias) + on_host(*hidden_bias);
  }
  const auto parts = gates.chunk(4, 1);
  const Tensor in = parts[0].sigmoid(), forget = parts[1].sigmoid(), cell = parts[2].tanh(),
               out = parts[3].sigmoid();
  const Tensor cy = forget * on_host(cx) + in * cell;
  const Tensor workspace = to_device(at::cat({in, forget, cell, out}, 1));
  const Tensor hy = to_device(out * cy.tanh());
  return {hy, to_device(cy), workspace};
}

// ATen/native/cuda/RNN.cu, lstm_cell_backward.
std::tuple<Tensor, Tensor, Tensor> lstm_cell_backward(const Maybe& grad_hy, const Maybe& grad_cy,
                                                      const Tensor& cx, const Tensor& cy,
                                                      const Tensor& workspace, bool has_bias) {
  if (!given(grad_hy) && !given(grad_cy)) {
    return {};
  }
  const Tensor old_cell = on_host(cx);
  const auto gates = on_host(workspace).chunk(4, 1);
  const Tensor &in = gates[0], &forget = gates[1], &cell = gates[2], &out = gates[3];
  const Tensor squashed = on_host(cy).tanh();
  const Tensor from_hidden = on_host_or_zeros(grad_hy, squashed);
  const Tensor through_cell =
      on_host_or_zeros(grad_cy, squashed) + from_hidden * out * (1 - squashed * squashed);
  const Tensor grad_gates = at::cat({through_cell * cell * in * (1 - in),
                                     through_cell * old_cell * forget * (1 - forget),
                                     through_cell * in * (1 - cell * cell),
                                     from_hidden * squashed * out * (1 - out)},
                                    1);
  const Tensor device_gates = to_device(grad_gates);
  const Tensor grad_cx = to_device(through_cell * forget);
  return {device_gates, grad_cx, has_bias ? device_gates.sum(0) : Tensor()};
}

// ATen/native/cuda/RNN.cu, gru_cell_forward; the workspace keeps r, z, n, hx and the hidden part of n.
std::tuple<Tensor, Tensor> gru_cell(const Tensor& input_gates, const Tensor& hidden_gates,
                                    const Tensor& hx, const Maybe& input_bias,
                                    const Maybe& hidden_bias) {
  Tensor from_input = on_host(input_gates), from_hidden = on_host(hidden_gates);
  if (given(input_bias)) {
    from_input = from_input + on_host(*input_bias);
    from_hidden = from_hidden + on_host(*hidden_bias);
  }
  const Tensor before = on_host(hx);
  const auto in = from_input.chunk(3, 1), hidden = from_hidden.chunk(3, 1);
  const Tensor reset = (in[0] + hidden[0]).sigmoid(), update = (in[1] + hidden[1]).sigmoid();
  const Tensor fresh = (in[2] + reset * hidden[2]).tanh();
  const Tensor workspace = to_device(at::cat({reset, update, fresh, before, hidden[2]}, 1));
  return {to_device(fresh + update * (before - fresh)), workspace};
}

// ATen/native/cuda/RNN.cu, gru_cell_backward.
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> gru_cell_backward(const Tensor& grad_hy,
                                                                     const Tensor& workspace,
                                                                     bool has_bias) {
  const auto kept = on_host(workspace).chunk(5, 1);
  const Tensor &reset = kept[0], &update = kept[1], &fresh = kept[2], &before = kept[3],
               &hidden = kept[4];
  const Tensor grad = on_host(grad_hy);
  const Tensor grad_fresh = grad * (1 - update) * (1 - fresh * fresh);
  const Tensor grad_reset = grad_fresh * hidden * reset * (1 - reset);
  const Tensor grad_update = grad * (before - fresh) * update * (1 - update);
  const Tensor of_input = to_device(at::cat({grad_reset, grad_update, grad_fresh}, 1));
  const Tensor of_hidden = to_device(at::cat({grad_reset, grad_update, grad_fresh * reset}, 1));
  const Tensor of_state = to_device(grad * update);
  if (!has_bias) {
    return {of_input, of_hidden, of_state, Tensor(), Tensor()};
  }
  return {of_input, of_hidden, of_state, of_input.sum(0), of_hidden.sum(0)};
}

// ATen/native/cuda/Loss.cu, binary_cross_entropy_out_cuda: the reduced loss keeps the memory of the
// one before it.
Tensor binary_cross_entropy(const Tensor& input, const Tensor& target, const Maybe& weight,
                            int64_t reduction) {
  Tensor loss = at::empty_like(input);
  at::binary_cross_entropy_out(loss, input, target, weight, at::Reduction::None);
  if (reduction != at::Reduction::None) {
    const Tensor reduced = reduction == at::Reduction::Mean ? loss.mean() : loss.sum();
    loss.resize_as_(reduced).copy_(reduced);
  }
  return loss;
}

// ATen/native/BinaryOps.cpp and Loss.cpp, mse_loss and smooth_l1_loss: the result is allocated with an
// element for each loss, and keeps that memory when it is reduced.
Tensor reduce_loss(const Tensor& input, const Tensor& target, int64_t reduction,
                   const std::function<Tensor()>& loss) {
  if (reduction == at::Reduction::None) {
    return loss();
  }
  Tensor result = at::empty(at::infer_size(input.sizes(), target.sizes()), input.options());
  const Tensor each = loss();
  result.resize_({});
  return reduction == at::Reduction::Mean ? at::mean_out(result, each, at::IntArrayRef{})
                                          : at::sum_out(result, each, at::IntArrayRef{});
}

Tensor mse_loss(const Tensor& input, const Tensor& target, int64_t reduction) {
  return reduce_loss(input, target, reduction, [&] {
    Tensor loss = at::empty({0}, input.options());
    at::mse_loss_out(loss, input, target, at::Reduction::None);
    return loss;
  });
}

Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, int64_t reduction, double beta) {
  return reduce_loss(input, target, reduction, [&] {
    Tensor loss = at::empty({0}, input.options());
    at::smooth_l1_loss_out(loss, input, target, at::Reduction::None, beta);
    return loss;
  });
}

// ATen/native/Convolution.cpp, check_input_same_type_as_parameters.
void convolution(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
                 torch::jit::Stack* stack) {
  const size_t count = op.schema().arguments().size();
  const Tensor input = torch::jit::peek(*stack, 0, count).toTensor();
  for (size_t i : {1, 2}) {
    const c10::IValue& argument = torch::jit::peek(*stack, i, count);
    if (argument.isTensor() && argument.toTensor().defined()) {
      TORCH_CHECK(input.options().type_equal(argument.toTensor().options()), "Input type (",
                  input.toString(), ") and ", i == 1 ? "weight" : "bias", " type (",
                  argument.toTensor().toString(), ") should be the same",
                  input.is_cpu() ? " or input should be a MKLDNN tensor and "
                                   + std::string(i == 1 ? "weight" : "bias") + " is a dense tensor"
                                 : "");
    }
  }
  fallback(op, keys, stack);
}

bool no_library_ctc_loss(const Tensor&, const Tensor&, const Tensor&, const Tensor&, int64_t) {
  return false;
}
bool no_library_ctc_loss_of_lengths(const Tensor&, const Tensor&, at::IntArrayRef, at::IntArrayRef,
                                    int64_t) {
  return false;
}

struct Scores {
  Tensor query, key, value, weights;
  Tensor kept;  // what dropout leaves of each weight: 0 or 1 / (1 - p)
  double scale;
};

// A number for each weight, all from one sequence: the backward drops what was dropped before.
// ATen/native/transformers/cuda/mem_eff_attention/kernel_forward.h, attention_kernel.
Tensor kept_by_dropout(const Tensor& weights, double dropout, const Philox& sequence) {
  if (dropout == 0.0) {
    return at::ones({}, weights.options());
  }
  Tensor kept = at::empty(weights.sizes(), at::kBool);
  bool* out = kept.mutable_data_ptr<bool>();
  for (int64_t i = 0; i < kept.numel(); i += 4) {
    const auto drawn = uniform_floats(sequence(/*thread=*/0, i / 4));
    for (int64_t part = 0; part < std::min<int64_t>(4, kept.numel() - i); ++part) {
      out[i + part] = drawn[part] > static_cast<float>(dropout);
    }
  }
  return kept.to(weights.scalar_type()) / (1.0 - dropout);
}

Scores attention_scores(const Tensor& query, const Tensor& key, const Tensor& value,
                        const Maybe& bias, double dropout, const Philox& sequence, bool causal,
                        std::optional<double> scale) {
  const double factor = scale.value_or(1.0 / std::sqrt(static_cast<double>(query.size(-1))));
  const auto dtype = query.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  Scores found{on_host(query).to(dtype), on_host(key).to(dtype), on_host(value).to(dtype), {}, {},
               factor};
  Tensor scores = at::matmul(found.query, found.key.transpose(-2, -1)) * factor;
  if (given(bias)) {
    scores = scores + on_host(*bias).to(dtype);
  }
  if (causal) {
    const Tensor seen = at::ones({query.size(-2), key.size(-2)}, at::kBool).tril();
    scores = scores.masked_fill(seen.logical_not(), -INFINITY);
  }
  found.weights = at::_safe_softmax(scores, -1);  // a row that sees nothing gives zeros
  found.kept = kept_by_dropout(found.weights, dropout, sequence);
  return found;
}

// The kernels of attention lay out batch, sequence, heads, and show it with heads before the sequence.
Tensor in_the_order_of_kernels(const Tensor& result) {
  return to_device(result.transpose(1, 2).contiguous().transpose(1, 2));
}

// ATen/native/transformers/cuda/attention.cu: output and the logarithm of the sums, its rows padded
// to 32.
std::tuple<Tensor, Tensor, Tensor, Tensor> efficient_attention(
    const Tensor& query, const Tensor& key, const Tensor& value, const Maybe& bias, bool keeps_sums,
    double dropout, bool causal, std::optional<double> scale) {
  const int64_t weights = query.size(0) * query.size(1) * query.size(2) * key.size(2);
  const Philox sequence = generator_of(std::nullopt).reserve(dropout == 0.0 ? 0 : weights);
  const Scores found = attention_scores(query, key, value, bias, dropout, sequence, causal, scale);
  const Tensor output = in_the_order_of_kernels(
      at::matmul(found.weights * found.kept, found.value).to(query.scalar_type()));
  const int64_t rows = keeps_sums ? (query.size(2) + 31) / 32 * 32 : 0;
  const Tensor sums = at::zeros({query.size(0), query.size(1), rows},
                                query.options().dtype(at::kFloat));
  const auto kept = [](uint64_t number) {
    return at::full({}, static_cast<int64_t>(number), at::kLong);
  };
  return {output, sums, kept(sequence.seed), kept(sequence.counter * 4)};
}

// ATen/native/transformers/cuda/attention_backward.cu, _efficient_attention_backward: the gradient made
// contiguous; for each row the sum of gradient times output, which the kernels for half precision find
// themselves; and a workspace. kernel_backward.h, workspace_elements_gq: the query's gradient in blocks
// of 64 by 64, each with a lock and a counter.
Scratch attention_scratch(const Tensor& grad, const Tensor& query) {
  constexpr int64_t side = 64, block_bytes = side * side * 4 + 16;
  const int64_t heads = query.size(0) * query.size(1), row_bytes = heads * query.size(2) * 4;
  Scratch scratch;
  take_copy(scratch, grad.transpose(1, 2));
  {
    Scratch products;
    if (query.scalar_type() == at::kFloat) {
      take(products, grad.numel() * 4);
      take(products, row_bytes);
    }
    take(scratch, row_bytes);
  }
  take(scratch, heads * divide_up(query.size(2), side) * divide_up(query.size(3), side) * block_bytes);
  return scratch;
}

std::tuple<Tensor, Tensor, Tensor, Tensor> efficient_attention_backward(
    const Tensor& grad_out, const Tensor& query, const Tensor& key, const Tensor& value,
    const Tensor& bias, const Tensor&, const Tensor&, const Tensor& seed, const Tensor& offset,
    double dropout, std::array<bool, 4> wanted, bool causal, std::optional<double> scale) {
  const Scratch scratch = attention_scratch(grad_out, query);
  const Philox sequence{static_cast<uint64_t>(seed.item<int64_t>()),
                        static_cast<uint64_t>(offset.item<int64_t>()) / 4};
  const Scores found = attention_scores(query, key, value, bias, dropout, sequence, causal, scale);
  const Tensor grad = on_host(grad_out).to(found.query.scalar_type());
  const Tensor& weights = found.weights;
  const Tensor grad_weights = at::matmul(grad, found.value.transpose(-2, -1)) * found.kept;
  const Tensor grad_scores =
      weights * (grad_weights - (grad_weights * weights).sum(-1, /*keepdim=*/true));
  const auto give = [&](bool want, const Tensor& result) {
    return want ? in_the_order_of_kernels(result.to(query.scalar_type())) : Tensor();
  };
  const Tensor of_query = give(wanted[0], at::matmul(grad_scores, found.key) * found.scale);
  const Tensor of_key =
      give(wanted[1], at::matmul(grad_scores.transpose(-2, -1), found.query) * found.scale);
  const Tensor of_value = give(wanted[2], at::matmul((weights * found.kept).transpose(-2, -1), grad));
  const bool of_bias = wanted[3] && bias.defined();
  return {of_query, of_key, of_value,
          give(of_bias, of_bias ? grad_scores.sum_to_size(bias.sizes()) : grad_scores)};
}

// The memory-efficient kernel takes what is ordinary; the rest goes by plain operators, as in
// ATen/native/transformers/cuda/sdp_utils.cpp.
int64_t choose_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                         const Maybe& mask, double, bool, std::optional<double>, bool grouped) {
  const at::ScalarType dtype = query.scalar_type();
  const bool ordinary = query.dim() == 4 && !grouped && !query.is_nested() &&
      (dtype == at::kFloat || dtype == at::kHalf || dtype == at::kBFloat16) &&
      query.size(1) == key.size(1) && query.size(1) == value.size(1) &&
      !(given(mask) && mask->requires_grad()) && at::globalContext().userEnabledMemEfficientSDP();
  const auto backend =
      ordinary ? sdp::SDPBackend::efficient_attention : sdp::SDPBackend::math;
  return static_cast<int64_t>(backend);
}

}  // namespace

void register_special(torch::Library& library) {
  register_normalising(library);
  library.impl("_thnn_fused_lstm_cell", &lstm_cell);
  library.impl("_thnn_fused_lstm_cell_backward_impl", &lstm_cell_backward);
  library.impl("_thnn_fused_gru_cell", &gru_cell);
  library.impl("_thnn_fused_gru_cell_backward", &gru_cell_backward);
  library.impl("binary_cross_entropy", &binary_cross_entropy);
  library.impl("mse_loss", &mse_loss);
  library.impl("smooth_l1_loss", &smooth_l1_loss);
  library.impl("_use_cudnn_ctc_loss", &no_library_ctc_loss_of_lengths);
  library.impl("_use_miopen_ctc_loss", &no_library_ctc_loss_of_lengths);
  library.impl("_use_cudnn_ctc_loss.Tensor", &no_library_ctc_loss);
  library.impl("_use_miopen_ctc_loss.Tensor", &no_library_ctc_loss);
  library.impl("convolution", torch::CppFunction::makeFromBoxedFunction<&convolution>());
  library.impl("_scaled_dot_product_efficient_attention", &efficient_attention);
  library.impl("_scaled_dot_product_efficient_attention_backward", &efficient_attention_backward);
}

void register_attention_choice() {
  at::native::_fused_sdp_choice_stub.set_cuda_dispatch_ptr(&choose_attention);
}

}  // namespace vgpu
