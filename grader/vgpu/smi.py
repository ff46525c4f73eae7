"""The text of nvidia-smi for a card, in the layouts of the drivers from 450 to 525 and from 550 on."""

from datetime import datetime

from grader.vgpu.cards import Card
from grader.vgpu.device_memory import MIB

_FIRST_WIDE_DRIVER = 550
_DIVISIBLE = ((8, 0), (9, 0))
"""Compute capabilities of the cards that can be divided (MIG)."""
_NARROW = """\
+-----------------------------------------------------------------------------+
| NVIDIA-SMI {driver:<12} Driver Version: {driver:<12} CUDA Version: {cuda:<9}|
|-------------------------------+----------------------+----------------------+
| GPU  Name        Persistence-M| Bus-Id        Disp.A | Volatile Uncorr. ECC |
| Fan  Temp  Perf  Pwr:Usage/Cap|         Memory-Usage | GPU-Util  Compute M. |
|                               |                      |               MIG M. |
|===============================+======================+======================|
|   0  {name:<18}  Off  | 00000000:00:04.0 Off |                    0 |
| N/A   47C    P0    27W / {power:>3}W | {used:>6}MiB / {total:>5}MiB |      0%      Default |
|                               |                      |                  N/A |
+-------------------------------+----------------------+----------------------+
{blank:79}
+-----------------------------------------------------------------------------+
| Processes:                                                                  |
|  GPU   GI   CI        PID   Type   Process name                  GPU Memory |
|        ID   ID                                                   Usage      |
|=============================================================================|
|  No running processes found                                                 |
+-----------------------------------------------------------------------------+"""
_WIDE = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI {driver:<22} Driver Version: {driver:<14} CUDA Version: {cuda:<9}|
+-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
|   0  {name:<26}     Off |   00000000:00:04.0 Off |                    0 |
| N/A   47C    P0             27W / {power:>4}W | {used:>7}MiB / {total:>6}MiB |      0%      Default |
|                                         |                        | {mig:>20} |
+-----------------------------------------+------------------------+----------------------+

+-----------------------------------------------------------------------------------------+
| Processes:                                                                              |
|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |
|        ID   ID                                                               Usage      |
|=========================================================================================|
|  No running processes found                                                             |
+-----------------------------------------------------------------------------------------+"""


def nvidia_smi(card: Card, used_bytes: int, moment: datetime | None = None) -> str:
    """Return what `nvidia-smi` prints, without a final line break.

    No process is listed, as in the containers of notebook services, where their numbers are hidden.

    Args:
        card: the card to show.
        used_bytes: memory in use, driver and context included.
        moment: the local time to print; None is now.
    """
    wide = int(card.driver.partition(".")[0]) >= _FIRST_WIDE_DRIVER
    most = 26 if wide else 18
    name = card.name if len(card.name) <= most else f"{card.name[: most - 3]}..."
    table = (_WIDE if wide else _NARROW).format(
        driver=card.driver,
        cuda=card.cuda,
        name=name,
        power=card.power_watts,
        used=used_bytes // MIB,
        total=card.smi_total_mib or card.total_memory // MIB,
        mig="Disabled" if card.capability in _DIVISIBLE else "N/A",
        blank="",
    )
    return f"{(moment or datetime.now().astimezone()).ctime()}       \n{table}"
