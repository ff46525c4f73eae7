// What passed through the core, counted where student code has no objects to change: its ledger and its
// log are Python's. The judge compares the log with this account, which leaves the process sealed.
//
// A range says at least and at most. Both ends are equal unless threads met: a birth that the ledger
// decided on while somebody else read the account may stand on either side of that reading, and of
// one that an exception of a foreign thread's signal broke off nobody knows how far it had come.
//
// All of it happens under the interpreter's lock.
#pragma once

#include <c10/core/ScalarType.h>

#include <array>
#include <cstdint>
#include <vector>

namespace vgpu {

enum class Counted : uint8_t { not_at_all, perhaps, surely };

// A storage that has died and of which the ledger has not been told.
struct Death {
  uintptr_t address;
  size_t nbytes;
  Counted counted;
};

struct Range {
  uint64_t least = 0, most = 0;
};

// The tensors of one dtype that were asked for.
struct Use {
  Range allocations, largest, refusals, largest_refused;
};

class Account;

// One birth while the ledger decides on it; where neither word is said, it was broken off.
class Birth {
 public:
  // `dead`, which outlives it, goes to the ledger with it. `dtype` is -1 for memory that a kernel takes
  // for itself.
  Birth(Account& account, size_t nbytes, int dtype, const std::vector<Death>& dead);
  ~Birth();
  Birth(const Birth&) = delete;
  Birth& operator=(const Birth&) = delete;

  Counted accepted();
  void refused();

 private:
  friend class Account;
  enum class End { open, accepted, refused };

  Account& account_;
  const size_t nbytes_;
  const int dtype_;
  const std::vector<Death>& dead_;
  bool apart_;             // it began where nothing counts
  bool doubtful_ = false;  // the account was read, or turned aside, while it went on
  bool met_ = false;       // another one went on at the same time
  End end_ = End::open;
};

class Account {
 public:
  // Begin a new account, sealed from now on with the 16 bytes that wait at a descriptor. Throws where
  // there are none, or where there is a key already.
  void take_key(int descriptor);
  void forget_key();

  // The deaths of which the ledger is being told, and that it knows of them now.
  void tell(const std::vector<Death>& dead);
  void told(const std::vector<Death>& dead);

  // Whether what happens from now on is a question's, of which the log says nothing.
  void turn(bool apart);
  // The student's code may leave the allocator only a part of the card.
  void limit_fraction(double fraction);
  // The device was set up: once in a submission.
  void note_setup() { ++setups_; }
  void note_linear(bool refused);

  // Close the stretch since the last reading and begin the next. Empty without a key.
  struct Reading {
    std::vector<uint64_t> sealed;
    uint64_t linear_calls, linear_refused;
  };
  Reading read(uint64_t mark);

 private:
  friend class Birth;
  static constexpr size_t dtypes = static_cast<size_t>(c10::ScalarType::NumOptions);
  static constexpr uint64_t never = ~uint64_t{0};

  struct Stretch {
    std::array<Use, dtypes> uses{};
    Range refusals, peak;
    uint64_t reach_before = 0;
    uint64_t least_refused = never;  // of what was surely refused: its segment and what was held
    uint64_t most_doubtful = 0;      // the same of what was perhaps refused
  };

  void leave(Birth& birth);
  void note_accepted(const Birth& birth, bool surely);
  void note_refused(const Birth& birth, bool surely);
  void release(const std::vector<Death>& dead);
  uint64_t reach(const Birth* without) const;

  uint64_t key_[2] = {0, 0};
  bool keyed_ = false;
  bool apart_ = false;
  std::vector<Birth*> under_way_;
  std::vector<Death> postponed_;
  Stretch stretch_;

  uint64_t surely_held_ = 0, perhaps_held_ = 0;  // bytes of living storages
  uint64_t small_ = 0, large_ = 0;               // how many they are, at most
  uint64_t largest_segment_ = 0, segments_ = 0;  // bytes that births have asked of the driver, at most
  double lowest_fraction_ = 1.0;
  uint64_t readings_ = 0, setups_ = 0;
};

Account& account();

// SipHash-2-4: Aumasson and Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012. Of whole
// 64-bit words, little-endian.
uint64_t siphash(const uint64_t (&key)[2], const std::vector<uint64_t>& words);

}  // namespace vgpu
