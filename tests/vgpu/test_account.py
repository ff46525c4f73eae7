"""The native core's own account of the device: it agrees with the log of every honest program."""

import pytest
from device_process import on_device

# The body of a test gets these where it runs; its process alone has the virtual GPU.
torch = nn = vgpu = None


@on_device
def test_an_account_is_sealed_and_counts_what_the_log_tells():
    import os

    from grader.sandbox.account import NotGenuine, Range, read_account

    assert vgpu.take_log(1).account == b""
    key = bytes(range(16))
    reading, writing = os.pipe()
    os.write(writing, key + b"rest")
    vgpu.take_key(reading)
    assert os.read(reading, 9) == b"rest"
    vgpu.reset("Tesla T4")
    vgpu.take_log(5)
    kept = torch.zeros(1000, device="cuda")
    torch.zeros(9 << 20, dtype=torch.uint8, device="cuda")
    with pytest.raises(torch.cuda.OutOfMemoryError):
        torch.zeros(1 << 40, dtype=torch.uint8, device="cuda")
    nn.functional.linear(kept[:4].view(1, 4), kept[:8].view(2, 4))
    data = vgpu.take_log(5).account
    account = read_account(data, key)
    assert (account.mark, account.reading, account.setups) == (5, 3, 1)
    assert (account.linear_calls, account.linear_refused) == (1, 0)
    assert account.refusals == Range(1, 1)
    assert account.least_refused_bytes == (1 << 40) + (2 << 20)
    workspace = 2 * 4096 * 1024 + 8 * 16 * 1024
    assert account.peak_bytes == Range(4096 + (9 << 20), max(4096 + (10 << 20), 4608 + workspace))
    assert account.by_dtype["float32"].allocations == Range(2, 2)
    assert account.by_dtype["uint8"].largest_bytes == Range(9 << 20, 9 << 20)
    assert account.by_dtype["uint8"].largest_refused_bytes == Range(1 << 40, 1 << 40)
    assert read_account(vgpu.take_log(5).account, key).reading == 4
    assert read_account(vgpu.take_log(6).account, key).reading == 5
    for forged in (data[:-1], data[:-1] + b"\0", b"", data + data, b"\1" + data[1:]):
        with pytest.raises(NotGenuine):
            read_account(forged, key)
    with pytest.raises(NotGenuine):
        read_account(data, b"another key, too")


@on_device
def test_a_key_comes_once_and_a_forked_process_seals_nothing():
    import os

    reading, writing = os.pipe()
    os.write(writing, b"k" * 16)
    vgpu.take_key(reading)
    os.write(writing, b"m" * 16)
    with pytest.raises(RuntimeError, match="sealed already"):
        vgpu.take_key(reading)
    core = vgpu._installed.device.core
    if os.fork() == 0:
        os._exit(len(core.read_account(1)[0]))
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
    assert core.read_account(1)[0]


@on_device
def test_a_pipe_without_a_key_is_refused():
    import os

    reading, writing = os.pipe()
    os.write(writing, b"k" * 15)
    os.close(writing)
    with pytest.raises(RuntimeError, match="no key waits"):
        vgpu.take_key(reading)


@pytest.mark.parametrize("seed", range(8))
@on_device
def test_no_honest_program_contradicts_its_account(seed):
    import random

    from grader.sandbox.device import read_log
    from tests.vgpu.sealing import begin_audit

    audit = begin_audit()
    chance = random.Random(seed)
    dtypes = [torch.float32, torch.float64, torch.float16, torch.int64, torch.uint8]
    held, refusals = [], 0
    # Small tensors that keep large segments, large ones that fill the card, and all in between.
    smallest, largest = chance.choice([(9, 34), (18, 24), (20, 22), (24, 36), (0, 34)])
    for mark in range(1, 60):
        vgpu.take_log(mark)
        for _ in range(chance.randrange(40)):
            action = chance.random()
            if action < 0.6:
                nbytes = int(2 ** chance.uniform(smallest, largest))
                dtype = chance.choice(dtypes)
                try:
                    held.append(torch.empty(nbytes // dtype.itemsize, dtype=dtype, device="cuda"))
                except torch.cuda.OutOfMemoryError:
                    refusals += 1
                    del held[: chance.randrange(len(held) + 1)]
            elif action < 0.9:
                if held:
                    held.pop(chance.randrange(len(held)))
            elif action < 0.93:
                held = held[::17]
            elif action < 0.95:
                torch.cuda.empty_cache()
            elif action < 0.97:
                torch.cuda.reset_peak_memory_stats()
            elif action < 0.98 and mark > 40:
                torch.cuda.set_per_process_memory_fraction(chance.random())
            elif action < 0.99:
                with vgpu.scratch():
                    torch.empty(1 << chance.randrange(30), device="cuda")
                    held = held[1:]
            else:
                address = torch.cuda.caching_allocator_alloc(1 << chance.randrange(30))
                torch.cuda.caching_allocator_delete(address)
        found = audit.find_contradiction(read_log(vgpu.take_log(mark)), mark)
        assert found is None, (mark, found)
    assert refusals or largest < 34


@pytest.mark.parametrize("apart", [False, True])
@on_device
def test_threads_that_meet_at_a_reading_contradict_nothing(apart):
    import contextlib
    import sys
    import threading

    from grader.sandbox.account import read_account
    from grader.sandbox.device import read_log
    from tests.vgpu.sealing import KEY, begin_audit

    audit = begin_audit()
    sys.setswitchinterval(1e-6)
    over = threading.Event()

    def work(step):
        held = []
        while not over.is_set():
            with contextlib.suppress(torch.cuda.OutOfMemoryError):
                held.append(torch.empty(step << 27, dtype=torch.uint8, device="cuda"))
            if len(held) > 3 + step:
                del held[::2]

    threads = [threading.Thread(target=work, args=(step,)) for step in range(1, 9)]
    for thread in threads:
        thread.start()
    met = 0
    try:
        for mark in range(1, 400):
            vgpu.take_log(mark)
            if apart and mark % 3:
                with vgpu.scratch():
                    torch.empty(1000, device="cuda")
            log = read_log(vgpu.take_log(mark))
            found = audit.find_contradiction(log, mark)
            assert found is None, (mark, found)
            for use in read_account(log.account, KEY).by_dtype.values():
                met += use.allocations.least != use.allocations.most
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert met


@on_device
def test_a_birth_that_has_not_come_back_stands_on_either_side_of_a_reading():
    import threading

    from grader.sandbox.account import Range, read_account
    from grader.sandbox.device import read_log
    from tests.vgpu.sealing import KEY, begin_audit

    audit = begin_audit()
    device = vgpu._installed.device

    class Lingering:
        """The ledger's lock; one thread loses the interpreter right after it gave it back."""

        lock, came, go_on = threading.Lock(), threading.Event(), threading.Event()

        def __enter__(self):
            self.lock.acquire()

        def __exit__(self, *_):
            self.lock.release()
            if threading.current_thread() is worker:
                self.came.set()
                self.go_on.wait()

    def checked(mark):
        log = read_log(vgpu.take_log(mark))
        assert audit.find_contradiction(log, mark) is None
        return log, read_account(log.account, KEY).by_dtype.get("uint8")

    def bear():
        kept.append(torch.empty(3 << 30, dtype=torch.uint8, device="cuda"))

    kept = [torch.empty(7 << 30, dtype=torch.uint8, device="cuda")]
    worker = threading.Thread(target=bear)
    lingering = device.lock = Lingering()
    vgpu.take_log(1)
    worker.start()
    lingering.came.wait()
    log, use = checked(1)  # the ledger knows of it, the core does not yet
    assert (log.by_dtype["uint8"].allocations, use.allocations) == (1, Range(0, 1))
    vgpu.take_log(2)
    kept[0] = None  # what died when it was born already counts beside it
    kept[0] = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    assert torch.cuda.memory_allocated() == 4 << 30
    lingering.go_on.set()
    worker.join()
    log, use = checked(2)
    assert (log.peak_allocated, log.by_dtype["uint8"].allocations) == (10 << 30, 1)
    assert use.allocations == Range(1, 2)
    vgpu.take_log(3)
    kept.clear()
    torch.empty(9, dtype=torch.uint8, device="cuda")
    log, use = checked(3)
    assert use.allocations == Range(1, 1)


@on_device
def test_what_died_while_another_was_born_counts_beside_it():
    import threading

    from grader.sandbox.device import read_log
    from tests.vgpu.sealing import begin_audit

    audit = begin_audit()
    device = vgpu._installed.device
    came, go_on, lock = threading.Event(), threading.Event(), threading.Lock()

    class Lingering:
        def __enter__(self):
            lock.acquire()

        def __exit__(self, *_):
            lock.release()
            if threading.current_thread() is worker:
                came.set()
                go_on.wait()

    def bear():
        kept.append(torch.empty(3 << 30, dtype=torch.uint8, device="cuda"))

    kept = [torch.empty(7 << 30, dtype=torch.uint8, device="cuda")]
    worker = threading.Thread(target=bear)
    device.lock = Lingering()
    vgpu.take_log(1)
    worker.start()
    came.wait()
    kept[0] = None
    kept[0] = torch.empty(1 << 20, dtype=torch.uint8, device="cuda")
    go_on.set()
    worker.join()
    log = read_log(vgpu.take_log(1))
    assert log.peak_allocated == 10 << 30
    assert audit.find_contradiction(log, 1) is None


@on_device
def test_the_dead_whom_a_broken_off_birth_forgot_stay_counted():
    import threading

    from grader.sandbox.device import read_log
    from tests.vgpu.sealing import begin_audit

    audit = begin_audit()
    device = vgpu._installed.device
    lock = threading.Lock()

    class Interrupting:
        rings = True

        def __enter__(self):
            if self.rings:
                self.rings = False
                raise KeyboardInterrupt("rings")
            lock.acquire()

        def __exit__(self, *_):
            lock.release()

    kept = [torch.empty(7 << 30, dtype=torch.uint8, device="cuda")]
    vgpu.take_log(1)
    kept.clear()
    device.lock = Interrupting()
    with pytest.raises(RuntimeError, match="rings"):
        torch.empty(3 << 30, dtype=torch.uint8, device="cuda")
    torch.empty(5 << 30, dtype=torch.uint8, device="cuda")
    log = read_log(vgpu.take_log(1))
    assert log.peak_allocated == 12 << 30
    assert audit.find_contradiction(log, 1) is None


@on_device
def test_an_interrupt_inside_a_birth_contradicts_nothing():
    import sys
    import threading

    from grader.sandbox.device import read_log
    from grader.sandbox.limits import Stopwatch, TimeLimit
    from tests.vgpu.sealing import begin_audit

    audit = begin_audit()
    sys.setswitchinterval(1e-6)
    over = threading.Event()
    # A thread that waits for signals gets those that the main thread holds back.
    others = [threading.Thread(target=over.wait) for _ in range(2)]
    for other in others:
        other.start()

    stopwatch = Stopwatch(vgpu.is_deciding)
    broken = 0

    def descend(depth):
        torch.empty(1000, device="cuda")
        return descend(depth + 1)

    for mark in range(1, 300):
        vgpu.take_log(mark)
        held = []
        try:
            with stopwatch.limit(0.00025 + 5e-7 * mark):
                while True:
                    held.append(torch.empty(1 << 20, device="cuda"))
                    torch.cuda.memory_allocated()
                    held = held[-20:]
        except (TimeLimit, RuntimeError) as error:
            broken += not isinstance(error, torch.cuda.OutOfMemoryError)
        if mark % 50 == 0:
            with pytest.raises(RuntimeError, match="recursion depth"):
                descend(0)
        held = None
        found = audit.find_contradiction(read_log(vgpu.take_log(mark)), mark)
        assert found is None, (mark, found)
    over.set()
    assert broken > 200


@on_device
def test_a_time_limit_waits_until_the_ledger_is_whole():
    import os
    import signal
    import threading

    from grader.sandbox.limits import Stopwatch, TimeLimit
    from grader.vgpu.blocks import Pool

    over = threading.Event()
    other = threading.Thread(target=over.wait)  # gets the signal that the main thread holds back
    other.start()
    remove = Pool.remove
    rung = []

    def interrupted(pool, block):
        remove(pool, block)
        if not rung:
            os.kill(os.getpid(), signal.SIGPROF)
            for _ in range(200_000):
                rung.append(1)

    def work():
        with Stopwatch(vgpu.is_deciding).limit(100.0):
            held.clear()
            torch.cuda.memory_allocated()
            while True:
                pass

    held = [torch.empty(1 << 20, device="cuda") for _ in range(4)]
    Pool.remove = interrupted
    with pytest.raises(TimeLimit):
        work()
    Pool.remove = remove
    over.set()
    assert rung
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() == 0


@on_device
def test_a_finalizer_that_asks_the_device_waits_until_the_ledger_is_whole():
    import gc

    asked = []

    class Node:
        def __init__(self):
            self.me, self.held = self, torch.empty(9, device="cuda")

        def __del__(self):
            torch.cuda.empty_cache()
            asked.append(torch.cuda.memory_allocated())

    gc.set_threshold(3)
    for _ in range(2000):
        Node()
    gc.set_threshold(700)
    gc.collect()
    assert len(asked) == 2000
    assert torch.cuda.memory_allocated() == 0
