// Every operator without a kernel of its own: the CPU's kernel runs on aliases of the device's bytes.
#pragma once

#include <ATen/core/boxing/KernelFunction.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

namespace vgpu {

// Operators on memory whose values are not real are answered under this otherwise unused key, where
// the Python side registers its fallback.
constexpr c10::DispatchKey ghost_key = c10::DispatchKey::TESTING_ONLY_GenericMode;

void fallback(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack);

// Throws in PyTorch's words where the tensors of the call on top of the stack are on two devices.
void check_call(const c10::OperatorHandle& op, const torch::jit::Stack& stack);

// A new device tensor with the values of a CPU tensor, in its shape and strides.
at::Tensor to_device(const at::Tensor& host);

at::Tensor empty_on_device(at::IntArrayRef sizes, at::IntArrayRef strides, at::ScalarType dtype);

// Give a tensor the sizes and strides that a kernel found for its out= argument.
void grow(const at::Tensor& tensor, at::IntArrayRef sizes, at::IntArrayRef strides);

}  // namespace vgpu
