#include "cub.h"

#include <algorithm>
#include <initializer_list>

#include "scratch.h"

namespace vgpu::cub {
namespace {

// Elements that a block of threads works on at once.
struct Tile {
  int64_t threads;
  int64_t items;  // per thread
  int64_t size() const { return threads * items; }
};

// The generations that CUB is tuned for differently; what lies between has the untuned policies.
enum class Tuning { none, ampere, hopper };

Tuning tuning() {
  const int64_t capability = architecture().capability;
  return capability >= 90 ? Tuning::hopper : capability == 80 ? Tuning::ampere : Tuning::none;
}

Tile chosen(Tile untuned, Tile ampere, Tile hopper) {
  switch (tuning()) {
    case Tuning::hopper: return hopper;
    case Tuning::ampere: return ampere;
    default: return untuned;
  }
}

// util_arch.cuh, RegBoundScaling and MemBoundScaling: policies are written for elements of four bytes.
Tile scaled(Tile nominal, int64_t bytes, int64_t items) {
  constexpr int64_t shared_memory = 48 << 10, warp = 32;
  items = std::max<int64_t>(1, items);
  return {std::min(nominal.threads, divide_up(shared_memory / (bytes * items), warp) * warp), items};
}
Tile register_bound(Tile nominal, int64_t bytes) {
  return scaled(nominal, bytes, nominal.items * 4 / std::max<int64_t>(4, bytes));
}
Tile memory_bound(Tile nominal, int64_t bytes) {
  return scaled(nominal, bytes, std::min(nominal.items * 4 / bytes, nominal.items * 2));
}

// util_math.cuh, Nominal4BItemsToItems.
Tile fewer_if_wide(Tile nominal, int64_t bytes) {
  return {nominal.threads, std::min(nominal.items, std::max<int64_t>(1, nominal.items * 4 / bytes))};
}

// detail/temporary_storage.cuh and util_device.cuh, AliasTemporaries: parts begin at multiples of 256.
int64_t together(std::initializer_list<int64_t> parts) {
  constexpr int64_t alignment = 256;
  int64_t sum = 0;
  for (int64_t part : parts) {
    sum += divide_up(part, alignment) * alignment;
  }
  return sum + alignment - 1;
}

// agent/single_pass_scan_operators.cuh: a word for each tile, and for a warp before the first.
int64_t tile_states(int64_t count, Tile tile, int64_t word_bytes) {
  constexpr int64_t warp = 32;
  return together({(warp + divide_up(count, tile.size())) * word_bytes});
}

// The same with a key in each word, which is of 16 bytes then.
int64_t keyed_states(int64_t count, Tile tile) {
  constexpr int64_t warp = 32, word_bytes = 16;
  return (warp + divide_up(count, tile.size())) * word_bytes;
}

// tuning_radix_sort.cuh, OnesweepPolicy of a sort with 64-bit offsets.
Tile sort_tile(c10::ScalarType key, int64_t value_bytes) {
  const int64_t key_bytes = c10::elementSize(key), capability = architecture().capability;
  const bool keys_only = value_bytes == 0;
  if (capability < 70) {
    return {256, 29};
  }
  if (capability < 80) {
    return {256, key_bytes == 4 && value_bytes == 4 ? 46 : 23};
  }
  if (capability < 90) {
    return {384, key_bytes == 4 && !keys_only ? 17 : 21};
  }
  switch (key_bytes) {
    case 8: return {384, value_bytes < 8 ? 30 : 24};
    case 4: return {384, keys_only ? (key == at::kFloat ? 18 : 19) : value_bytes < 8 ? 17 : 29};
    case 2: return keys_only ? Tile{512, 19} : Tile{512, 23};
    default: return keys_only ? Tile{512, 19} : Tile{384, 18};
  }
}

}  // namespace

// dispatch_radix_sort.cuh, Invoke and InvokeOnesweep. Up to Ampere keys of less than four bytes are
// sorted in another way, whose counters depend on how many blocks a processor holds; these are left out.
int64_t sort_bytes(int64_t count, c10::ScalarType key, int64_t value_bytes, int64_t bits) {
  constexpr int64_t digit_bits = 8, digits = 1 << digit_bits;
  constexpr Tile single{256, 19};
  const int64_t key_bytes = c10::elementSize(key), widest = std::max(key_bytes, value_bytes);
  if (count <= register_bound(single, widest).size()) {
    return 1;
  }
  const int64_t passes = divide_up(bits, digit_bits);
  const int64_t copies = passes > 1 ? count : 0;
  if (key_bytes < 4 && tuning() != Tuning::hopper) {
    return together({copies * key_bytes, copies * value_bytes});
  }
  const Tile tile = register_bound(sort_tile(key, value_bytes), widest);
  const int64_t most = ((1 << 28) - 1) / tile.size() * tile.size();
  const int64_t portions = divide_up(count, most);
  const int64_t blocks = divide_up(std::min(count, most), tile.size());
  return together({portions * passes * digits * 8, blocks * digits * 4, copies * key_bytes,
                   copies * value_bytes, portions * passes * 4});
}

int64_t sort_bytes(int64_t count, c10::ScalarType key, int64_t value_bytes) {
  return sort_bytes(count, key, value_bytes, 8 * static_cast<int64_t>(c10::elementSize(key)));
}

int64_t segmented_sort_bytes(int64_t count, int64_t key_bytes, int64_t value_bytes) {
  return together({count * key_bytes, count * value_bytes});
}

// dispatch_select_if.cuh and tuning_select_if.cuh.
int64_t select_flagged_bytes(int64_t count) {
  return together({tile_states(count, chosen({128, 5}, {384, 6}, {384, 11}), 8)});
}

int64_t unique_bytes(int64_t count, int64_t key_bytes) {
  const Tile untuned = fewer_if_wide({128, 10}, key_bytes);
  const Tile tile = key_bytes == 8 ? chosen(untuned, {192, 10}, {384, 11})
      : key_bytes == 4             ? chosen(untuned, {256, 18}, {384, 17})
      : key_bytes == 2             ? chosen(untuned, {576, 14}, {256, 22})
                                   : chosen(untuned, {992, 20}, {256, 22});
  return together({tile_states(count, tile, 8)});
}

// dispatch_reduce_by_key.cuh: lengths of 64 bits have no tuning.
int64_t run_length_bytes(int64_t count) {
  return together({keyed_states(count, {128, 6})});
}

// dispatch_unique_by_key.cuh and tuning_unique_by_key.cuh.
int64_t unique_by_key_bytes(int64_t count, int64_t value_bytes) {
  const Tile untuned = fewer_if_wide({64, 11}, 8);
  const Tile tile = value_bytes == 8 ? chosen(untuned, {192, 7}, {448, 11})
                                     : chosen(untuned, {256, 7}, {640, 7});
  return together({tile_states(count, tile, 8)});
}

// dispatch_scan.cuh and tuning_scan.cuh.
int64_t scan_bytes(int64_t count, int64_t accumulator_bytes) {
  const int64_t word_bytes = accumulator_bytes == 8 ? 16 : accumulator_bytes == 4 ? 8 : 4;
  return together({tile_states(count, memory_bound({128, 15}, accumulator_bytes), word_bytes)});
}

// dispatch_scan_by_key.cuh: the first key of each tile besides.
int64_t scan_by_key_bytes(int64_t count) {
  const Tile tile = chosen({256, 9}, {256, 15}, {288, 14});
  return together({keyed_states(count, tile), (divide_up(count, tile.size()) + 1) * 4});
}

// dispatch_reduce.cuh: a sum for each of five times the blocks that the card holds; one block needs none.
int64_t count_bytes(int64_t count) {
  constexpr Tile tile{256, 16};
  constexpr int64_t subscription = 5;
  if (count <= tile.size()) {
    return 1;
  }
  const Architecture& card = architecture();
  return together({card.processors * (card.threads_a_processor / tile.threads) * subscription * 4});
}

}  // namespace vgpu::cub
