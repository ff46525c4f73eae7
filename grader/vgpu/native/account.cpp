#include "account.h"

#include <c10/util/Exception.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>

namespace vgpu {
namespace {

// The sizes of c10/cuda/CUDACachingAllocator.cpp, PyTorch v2.13. A student's code cannot change them:
// the settings are read when the device is set up.
constexpr uint64_t mebi = uint64_t{1} << 20;
constexpr uint64_t least_block = 512, small_size = mebi, small_segment = 2 * mebi;
constexpr uint64_t large_segment = 20 * mebi, large_from = 10 * mebi, page = 2 * mebi;

// Operators count without the interpreter's lock.
std::atomic<uint64_t> linear_calls{0};
std::atomic<uint64_t> linear_refused{0};
std::atomic<bool> linear_apart{false};

uint64_t round_up(uint64_t nbytes, uint64_t step) { return (nbytes + step - 1) / step * step; }

// What the allocator counts for a block: at least the rounded request; at most what is left of a
// larger block beside it and too small to be parted from it.
uint64_t least_of(uint64_t nbytes) { return round_up(nbytes, least_block); }
bool is_small(uint64_t nbytes) { return least_of(nbytes) <= small_size; }
uint64_t most_of(uint64_t nbytes) { return least_of(nbytes) + (is_small(nbytes) ? 0 : small_size); }

// What is asked of the driver where no cached block fits (get_allocation_size).
uint64_t segment_of(uint64_t nbytes) {
  const uint64_t size = least_of(nbytes);
  return size <= small_size ? small_segment : size < large_from ? large_segment : round_up(size, page);
}

void add(Range& range, bool surely) {
  range.least += surely;
  ++range.most;
}

void raise(Range& range, uint64_t value, bool surely) {
  range.least = std::max(range.least, surely ? value : 0);
  range.most = std::max(range.most, value);
}

void forget_key_in_fork() { account().forget_key(); }

}  // namespace

Account& account() {
  static Account* one = new Account;
  return *one;
}

// ------------------------------------------------------------------ a birth

Birth::Birth(Account& account, size_t nbytes, int dtype, const std::vector<Death>& dead)
    : account_(account), nbytes_(nbytes), dtype_(dtype), dead_(dead), apart_(account.apart_) {
  account_.tell(dead_);
  for (Birth* other : account_.under_way_) {
    other->met_ = met_ = true;
  }
  account_.under_way_.push_back(this);
}

Birth::~Birth() {
  if (end_ == End::open) {
    account_.leave(*this);
  }
}

Counted Birth::accepted() {
  end_ = End::accepted;
  account_.leave(*this);
  return doubtful_ ? Counted::perhaps : apart_ ? Counted::not_at_all : Counted::surely;
}

void Birth::refused() {
  end_ = End::refused;
  account_.leave(*this);
}

void Account::leave(Birth& birth) {
  std::erase(under_way_, &birth);
  const bool broken_off = birth.end_ == Birth::End::open;
  const bool surely = !birth.doubtful_ && !broken_off;
  if (!broken_off) {  // else the dead may have got lost, and stay counted
    if (birth.met_) {
      postponed_.insert(postponed_.end(), birth.dead_.begin(), birth.dead_.end());
    } else {
      release(birth.dead_);
    }
  }
  if (!birth.apart_ || birth.doubtful_) {
    if (birth.end_ != Birth::End::refused) {
      note_accepted(birth, surely);
    }
    if (birth.end_ != Birth::End::accepted) {
      note_refused(birth, surely);
    }
  }
  if (under_way_.empty()) {
    release(std::exchange(postponed_, {}));
  }
}

void Account::note_accepted(const Birth& birth, bool surely) {
  if (birth.dtype_ >= 0) {
    Use& use = stretch_.uses[birth.dtype_];
    add(use.allocations, surely);
    raise(use.largest, birth.nbytes_, surely);
  }
  surely_held_ += surely ? least_of(birth.nbytes_) : 0;
  perhaps_held_ += most_of(birth.nbytes_);
  ++(is_small(birth.nbytes_) ? small_ : large_);
  const uint64_t segment = segment_of(birth.nbytes_);
  largest_segment_ = std::max(largest_segment_, segment);
  segments_ += segment;
  stretch_.peak.least = std::max(stretch_.peak.least, surely_held_);
  stretch_.peak.most = std::max(stretch_.peak.most, perhaps_held_);
}

void Account::note_refused(const Birth& birth, bool surely) {
  add(stretch_.refusals, surely);
  if (birth.dtype_ >= 0) {
    Use& use = stretch_.uses[birth.dtype_];
    add(use.refusals, surely);
    raise(use.largest_refused, birth.nbytes_, surely);
  }
  const uint64_t needed = segment_of(birth.nbytes_) + reach(&birth);
  if (surely) {
    stretch_.least_refused = std::min(stretch_.least_refused, needed);
  } else {
    stretch_.most_doubtful = std::max(stretch_.most_doubtful, needed);
  }
}

// Bytes of segments that hold a living storage, at most: the others go back to the driver before a
// request is refused. Each living storage lies in one segment, however large what made it was.
uint64_t Account::reach(const Birth* without) const {
  uint64_t small = small_, large = large_, largest = largest_segment_, all = segments_;
  for (const Birth* birth : under_way_) {
    if (birth != without) {
      const uint64_t segment = segment_of(birth->nbytes_);
      ++(is_small(birth->nbytes_) ? small : large);
      largest = std::max(largest, segment);
      all += segment;
    }
  }
  // In 128 bits: a refused request of another thread may be of any size.
  const auto pinned = static_cast<unsigned __int128>(large) * largest + small * small_segment;
  return static_cast<uint64_t>(std::min<unsigned __int128>(pinned, all));
}

// ------------------------------------------------------------------ deaths

void Account::tell(const std::vector<Death>& dead) {
  for (const Death& death : dead) {
    surely_held_ -= death.counted == Counted::surely ? least_of(death.nbytes) : 0;
  }
}

void Account::told(const std::vector<Death>& dead) {
  if (under_way_.empty()) {
    release(dead);
  } else {
    postponed_.insert(postponed_.end(), dead.begin(), dead.end());
  }
}

void Account::release(const std::vector<Death>& dead) {
  for (const Death& death : dead) {
    if (death.counted != Counted::not_at_all) {
      perhaps_held_ -= most_of(death.nbytes);
      --(is_small(death.nbytes) ? small_ : large_);
    }
  }
}

// ------------------------------------------------------------------ what is set from outside

void Account::turn(bool apart) {
  apart_ = linear_apart = apart;
  for (Birth* birth : under_way_) {
    birth->doubtful_ = true;
  }
}

void Account::limit_fraction(double fraction) {
  lowest_fraction_ = std::min(lowest_fraction_, std::max(fraction, 0.0));
}

void Account::note_linear(bool refused) {
  if (!linear_apart) {
    ++linear_calls;
    linear_refused += refused;
  }
}

void Account::take_key(int descriptor) {
  note_setup();
  TORCH_CHECK(!keyed_, "vgpu: the account is sealed already");
  uint64_t key[2];
  auto* into = reinterpret_cast<char*>(key);
  for (size_t taken = 0; taken < sizeof key;) {
    const ssize_t count = ::read(descriptor, into + taken, sizeof key - taken);
    TORCH_CHECK(count > 0, "vgpu: no key waits at descriptor ", descriptor);
    taken += count;
  }
  *this = Account();
  std::copy_n(key, 2, key_);
  keyed_ = true;
  explicit_bzero(key, sizeof key);
  pthread_atfork(nullptr, nullptr, &forget_key_in_fork);
}

// A process that the student's code forks has no GPU, and is to seal nothing.
void Account::forget_key() {
  explicit_bzero(key_, sizeof key_);
  keyed_ = false;
}

// ------------------------------------------------------------------ a reading

Account::Reading Account::read(uint64_t mark) {
  ++readings_;
  uint64_t held = perhaps_held_;
  for (Birth* birth : under_way_) {
    birth->doubtful_ = true;
    held += most_of(birth->nbytes_);
    add(stretch_.refusals, false);
    if (birth->dtype_ >= 0) {
      Use& use = stretch_.uses[birth->dtype_];
      add(use.allocations, false);
      add(use.refusals, false);
      raise(use.largest, birth->nbytes_, false);
      raise(use.largest_refused, birth->nbytes_, false);
    }
    stretch_.most_doubtful =
        std::max(stretch_.most_doubtful, segment_of(birth->nbytes_) + reach(birth));
  }
  stretch_.peak.most = std::max(stretch_.peak.most, held);

  Reading reading{{}, linear_calls.exchange(0), linear_refused.exchange(0)};
  if (keyed_) {
    const Stretch& now = stretch_;
    reading.sealed = {mark, readings_, setups_, std::bit_cast<uint64_t>(lowest_fraction_),
                      reading.linear_calls, reading.linear_refused,
                      now.refusals.least, now.refusals.most, now.peak.least, now.peak.most,
                      now.reach_before, now.least_refused, now.most_doubtful};
    for (size_t dtype = 0; dtype < dtypes; ++dtype) {
      const Use& use = now.uses[dtype];
      if (use.allocations.most || use.refusals.most) {
        reading.sealed.push_back(dtype);
        for (const Range& range : {use.allocations, use.largest, use.refusals, use.largest_refused}) {
          reading.sealed.push_back(range.least);
          reading.sealed.push_back(range.most);
        }
      }
    }
    reading.sealed.push_back(siphash(key_, reading.sealed));
  }
  stretch_ = Stretch();
  stretch_.peak = {surely_held_, held};
  stretch_.reach_before = reach(nullptr);
  return reading;
}

uint64_t siphash(const uint64_t (&key)[2], const std::vector<uint64_t>& words) {
  uint64_t v0 = key[0] ^ 0x736f6d6570736575, v1 = key[1] ^ 0x646f72616e646f6d;
  uint64_t v2 = key[0] ^ 0x6c7967656e657261, v3 = key[1] ^ 0x7465646279746573;
  const auto rounds = [&](int count) {
    while (count-- > 0) {
      v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
      v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
    }
  };
  const auto take = [&](uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  };
  for (const uint64_t word : words) {
    take(word);
  }
  take(static_cast<uint64_t>(words.size() * 8) << 56);  // the length in bytes, and no bytes left over
  v2 ^= 0xff;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace vgpu
