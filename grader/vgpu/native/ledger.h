// The side of the ledger that is written in Python: what the native core calls.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <cstdint>

#include "account.h"

namespace vgpu {

struct Born {
  uintptr_t address = 0;
  Counted counted = Counted::not_at_all;
};

// The memory for a new storage. Throws c10::OutOfMemoryError, or what the ledger says.
Born ledger_birth(size_t nbytes, at::ScalarType dtype);

// The memory a cuBLAS handle takes on its first use in a thread.
void ledger_workspace();

// Does the operator of this schema take CPU scalars beside device tensors?
bool ledger_mixes_scalars(const c10::FunctionSchema& schema);

// Throws in PyTorch's words where the tensors are not on one device.
void ledger_check_devices(const c10::FunctionSchema& schema, c10::ArrayRef<c10::IValue> arguments);

// aten::linear was called with a device tensor; a refusal is an out-of-memory error in it.
void ledger_linear(bool refused);

}  // namespace vgpu
