"""The cards that the virtual GPU can imitate, and where their figures come from.

`exact` is true where every figure that a student can see was compared with a real card's output.
For the others total memory and processor figures are published ones, or were recorded; what driver,
context and kernels take is an estimate, so their largest tensor may be some hundred MiB off.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from grader.vgpu.device_memory import MIB, DeviceMemory

_HOPPER = 9
_FIRST_MAJOR = 3
_WORKSPACE = 2 * 4096 * 1024 + 8 * 16 * 1024
_HOPPER_WORKSPACE = 8 * 4096 * 1024
_LEAST_MEMORY = 64 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A model of GPU.

    Attributes:
        name: as `torch.cuda.get_device_name` says it.
        label: what tells it apart from another of that name; empty for the usual one.
        total_memory: bytes, as `torch.cuda.get_device_properties` says it.
        overhead: bytes that driver and CUDA context hold before the first tensor.
        idle: the part of it that is in use before any process runs.
        unusable: bytes that are reported as free and never given out.
        capability: compute capability, such as (7, 5).
        multi_processor_count: streaming multiprocessors.
        max_threads_per_multi_processor: threads resident on each of them.
        l2_cache: bytes.
        shared_memory_per_block_optin: bytes.
        shared_memory_per_multiprocessor: bytes.
        power_watts: the power limit that nvidia-smi shows.
        smi_total_mib: total memory as nvidia-smi shows it; 0: the same as total_memory. Since
            driver 510 it counts what the driver keeps for itself as well.
        driver: version of the driver that nvidia-smi shows.
        cuda: version of CUDA that nvidia-smi shows.
        exact: whether all of this was compared with a real card.
        source: where the figures come from.

    Raises:
        TypeError: a number is not an int, or a text not a str.
        ValueError: a figure is impossible; the message names it and its value.
    """

    name: str
    label: str = ""
    total_memory: int
    overhead: int = 610 * MIB
    idle: int = 0
    unusable: int = 2 * MIB
    capability: tuple[int, int]
    multi_processor_count: int
    max_threads_per_multi_processor: int
    l2_cache: int
    shared_memory_per_block_optin: int = 48 * 1024
    shared_memory_per_multiprocessor: int = 64 * 1024
    power_watts: int = 250
    smi_total_mib: int = 0
    driver: str = "460.32.03"
    cuda: str = "11.2"
    exact: bool = False
    source: str = "given by the caller"

    def __post_init__(self) -> None:
        for field in ("name", "driver", "cuda", "source"):
            text = getattr(self, field)
            if not isinstance(text, str):
                raise TypeError(f"{field} must be text, not {text!r}")
            if not text.strip() or not text.isprintable():
                raise ValueError(f"{field} must be printable and not empty: {text!r}")
        if not self.driver.partition(".")[0].isdecimal():
            raise ValueError(f"driver must begin with a whole number: {self.driver!r}")
        capability: object = self.capability
        if not isinstance(capability, tuple) or len(capability) != 2:
            raise TypeError(f"capability must be a pair like (7, 5), not {capability!r}")
        major, minor = capability
        _require("capability[0]", major, _FIRST_MAJOR)
        _require("capability[1]", minor, 0)
        for field, least in _LEAST.items():
            _require(field, getattr(self, field), least)
        if self.max_threads_per_multi_processor % 256:
            raise ValueError(
                "max_threads_per_multi_processor must be a multiple of 256: "
                f"{self.max_threads_per_multi_processor}"
            )
        if self.idle > self.overhead:
            raise ValueError(f"idle={self.idle} must be part of overhead={self.overhead}")
        if self.total_memory - self.overhead - self.unusable < DeviceMemory.PAGE:
            raise ValueError(
                f"overhead={self.overhead} and unusable={self.unusable} leave nothing of "
                f"total_memory={self.total_memory}"
            )

    @property
    def key(self) -> str:
        """Its name in `CARDS`."""
        return f"{self.name} ({self.label})" if self.label else self.name

    @property
    def usable(self) -> int:
        """The most that can ever be reserved, in bytes."""
        return DeviceMemory(self.total_memory, self.overhead, unusable=self.unusable).usable

    @property
    def cublas_workspace(self) -> int:
        """Bytes of the workspace that PyTorch 2 gives cuBLAS.

        See `parseChosenWorkspaceSize` in `aten/src/ATen/cuda/CublasHandlePool.cpp`, PyTorch v2.13:
        ``:4096:2:16:8``, from Hopper on ``:4096:8``, in KiB.
        """
        return _WORKSPACE if self.capability[0] < _HOPPER else _HOPPER_WORKSPACE


def _require(field: str, number: object, least: int) -> None:
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{field} must be a whole number, not {number!r}")
    if number < least:
        raise ValueError(f"{field} must be at least {least}: {number}")


_LEAST = {
    "total_memory": _LEAST_MEMORY,
    "overhead": 0,
    "idle": 0,
    "unusable": 0,
    "multi_processor_count": 1,
    "max_threads_per_multi_processor": 256,
    "l2_cache": 0,
    "shared_memory_per_block_optin": 0,
    "shared_memory_per_multiprocessor": 0,
    "power_watts": 1,
    "smi_total_mib": 0,
}
_ESTIMATED = "What driver and context take is estimated: "
_AS_ON_T4 = f"{_ESTIMATED}the T4's 610 MiB under driver 460."

T4 = Card(
    name="Tesla T4",
    total_memory=15843721216,
    capability=(7, 5),
    multi_processor_count=40,
    max_threads_per_multi_processor=1024,
    l2_cache=4 * MIB,
    shared_memory_per_block_optin=64 * 1024,
    power_watts=70,
    exact=True,
    source=(
        "deviceQuery's 15843721216 bytes, 40 multiprocessors and 4 MiB of L2: "
        "https://chiemon.github.io/2024/12/25/%E6%98%BE%E5%8D%A1%E4%BF%A1%E6%81%AF.html. "
        "Overhead and unusable memory follow from what a notebook printed on a T4 under PyTorch "
        "1.12: 15200157696 bytes reserved at most, 14.16 GiB free and 612 MiB in nvidia-smi with "
        "2 MiB reserved."
    ),
)
T4_TODAY = replace(
    T4,
    label="driver 550",
    total_memory=15828320256,
    overhead=124715008,
    unusable=2228224,
    smi_total_mib=15360,
    driver="550.54.15",
    cuda="12.4",
    exact=False,
    source=(
        "15828320256 bytes under driver 550.54.15 in public test reports; 15360 MiB in "
        "nvidia-smi: https://github.com/robbyant-research/MagicQuill/issues/57. "
        f"{_ESTIMATED}out-of-memory messages leave 113 to 123 MiB beside what PyTorch reserved, "
        "with kernels loaded, and at least 2.12 MiB free: "
        "https://github.com/Beomi/KoAlpaca/issues/112."
    ),
)
P100 = Card(
    name="Tesla P100-PCIE-16GB",
    total_memory=17071734784,
    capability=(6, 0),
    multi_processor_count=56,
    max_threads_per_multi_processor=2048,
    l2_cache=4 * MIB,
    power_watts=250,
    source=(
        "17071734784 bytes, 56 multiprocessors, 2048 threads on each and 4194304 bytes of L2: the "
        "P100's device description in TensorFlow's SavedModelAotTest, "
        "https://github.com/tensorflow/tensorflow. The same total, 15.90 GiB, in "
        "https://github.com/pytorch/pytorch/issues/16417, where 0.79 GiB were not PyTorch's with "
        f"cuDNN loaded. {_AS_ON_T4}"
    ),
)
V100 = Card(
    name="Tesla V100-SXM2-16GB",
    total_memory=16945512448,
    capability=(7, 0),
    multi_processor_count=80,
    max_threads_per_multi_processor=2048,
    l2_cache=6 * MIB,
    shared_memory_per_block_optin=96 * 1024,
    shared_memory_per_multiprocessor=96 * 1024,
    power_watts=300,
    source=(
        "deviceQuery's 16160 MBytes (16945512448 bytes), 80 multiprocessors and 6291456 bytes of "
        "L2; the same 16160.5 MB by torch: https://huggingface.co/spaces/xiang-wuu/yolov5/commit/"
        "ed2c74218d6d46605cc5fa68ce9bd6ece213abe4. 16160 MiB and 300 W in nvidia-smi: "
        f"https://pastebin.com/mTM0hHsr. {_AS_ON_T4}"
    ),
)
A100 = Card(
    name="NVIDIA A100-SXM4-40GB",
    total_memory=42298834944,
    overhead=500 * MIB,
    capability=(8, 0),
    multi_processor_count=108,
    max_threads_per_multi_processor=2048,
    l2_cache=40 * MIB,
    shared_memory_per_block_optin=163 * 1024,
    shared_memory_per_multiprocessor=164 * 1024,
    power_watts=400,
    smi_total_mib=40960,
    driver="525.85.12",
    cuda="12.0",
    source=(
        "deviceQuery's 40339 MBytes (42298834944 bytes) and 108 multiprocessors under a driver for "
        "CUDA 12.2: https://github.com/bottlerocket-os/bottlerocket/pull/3873; older drivers "
        "reported 42405855232, "
        "https://upb-pc2.atlassian.net/wiki/spaces/PC2DOK/pages/1900609/NVIDIA+A100+40GB+with+"
        "NVLINK, from where the L2 is too. nvidia-smi's 40960 MiB: "
        "https://github.com/modal-labs/modal-client/pull/2797. "
        f"{_ESTIMATED}0.49 GiB in https://github.com/TianheWu/CoSeR/issues/10."
    ),
)
L4 = Card(
    name="NVIDIA L4",
    total_memory=23612293120,
    overhead=235 * MIB,
    capability=(8, 9),
    multi_processor_count=58,
    max_threads_per_multi_processor=1536,
    l2_cache=48 * MIB,
    shared_memory_per_block_optin=99 * 1024,
    shared_memory_per_multiprocessor=100 * 1024,
    power_watts=72,
    smi_total_mib=23034,
    driver="525.85.12",
    cuda="12.0",
    source=(
        "deviceQuery's 22518 MBytes (23612293120 bytes) and 58 multiprocessors under a driver for "
        "CUDA 12.0, printed in public repositories; newer drivers report 22.03 GiB, "
        "https://github.com/ArcInstitute/evo2/issues/190. 1536 threads a multiprocessor: "
        "https://github.com/pytorch/pytorch/issues/194676. 48 MB of L2 and 72 W: "
        "https://cputronic.com/de/gpu/nvidia-l4. nvidia-smi's 23034 MiB: "
        "https://github.com/modal-labs/modal-client/pull/2797. "
        f"{_ESTIMATED}0.23 GiB in the evo2 thread."
    ),
)
H200 = Card(
    name="NVIDIA H200",
    total_memory=150109880320,
    overhead=552402944,
    idle=9240576,
    unusable=3276800,
    capability=(9, 0),
    multi_processor_count=132,
    max_threads_per_multi_processor=2048,
    l2_cache=60 * MIB,
    shared_memory_per_block_optin=227 * 1024,
    shared_memory_per_multiprocessor=228 * 1024,
    power_watts=700,
    smi_total_mib=143771,
    driver="580.159.04",
    cuda="13.0",
    source=(
        "Read from a card under PyTorch 2.11.0+cu130 by tools/record_card.py, nvidia-smi included. "
        "Since CUDA 12 kernels are loaded when first called, which takes more: 92 MiB with the "
        "first of PyTorch's, 66 MiB with the first of cuBLAS. That is not in `overhead`, so what is "
        "left then is estimated."
    ),
)

CARDS: Mapping[str, Card] = MappingProxyType(
    {card.key: card for card in (T4, T4_TODAY, P100, V100, A100, L4, H200)}
)

# nvidia-smi cuts a long name after 15 characters; the memory then tells the variants apart.
_CUT = r"[^\n]*\n[^\n]*/\s*"
_MENTIONS = (
    (T4, re.compile(r"\b(?:Tesla|NVIDIA) T4\b(?! ?G)")),
    (P100, re.compile(rf"\bTesla P100-(?:PCIE|SXM2)(?:-16GB\b|\.\.\.{_CUT}16\d\d\dMiB)")),
    (V100, re.compile(rf"\bTesla V100-(?:PCIE|SXM2)(?:-16GB\b|\.\.\.{_CUT}16\d\d\dMiB)")),
    (A100, re.compile(rf"\bA100-(?:(?:PCIE|SXM4)-40GB\b|(?:SXM4?|PCI?E?)\.\.\.{_CUT}40\d\d\dMiB)")),
    (L4, re.compile(r"\bNVIDIA L4\b")),
    (H200, re.compile(r"\bNVIDIA H200\b(?! NVL)")),
)


# How much memory a T4 has depends on its driver: 14.76 GiB, 14.75 since 510, 14.74 since 550.
_FULL_TODAY = r"14\.7[45] GiB total capacity|total capac\w+ of 14\.7[45] GiB"
_TODAY = re.compile(rf"{_FULL_TODAY}|\b158(?:28320256|35660288)\b|\b15(?:095|102)MB|/\s*15360MiB")


def find_card(text: str) -> Card | None:
    """Return the card that a notebook's outputs name first, or None."""
    matches = [(pattern.search(text), card) for card, pattern in _MENTIONS]
    found = [(match.start(), card) for match, card in matches if match is not None]
    if not found:
        return T4_TODAY if re.search(_FULL_TODAY, text) else None
    first = min(found, key=lambda mention: mention[0])[1]
    return T4_TODAY if first is T4 and _TODAY.search(text) else first
