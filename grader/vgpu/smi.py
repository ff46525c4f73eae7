"""The text of nvidia-smi for a card, in the layout of the drivers from 450 to 525."""

from datetime import datetime

from grader.vgpu.cards import Card
from grader.vgpu.device_memory import MIB

_NAME_WIDTH = 18
_WIDTH = 77


def nvidia_smi(card: Card, used_bytes: int, moment: datetime | None = None) -> str:
    """Return what `nvidia-smi` prints, without a final line break.

    No process is listed, as in the containers of notebook services, where their numbers are hidden.

    Args:
        card: the card to show.
        used_bytes: memory in use, driver and context included.
        moment: the local time to print; None is now.
    """
    edge = f"+{'-' * _WIDTH}+"
    columns = "+".join("-" * width for width in (31, 22, 22))
    used, total = used_bytes // MIB, card.smi_total_mib or card.total_memory // MIB
    name = card.name
    if len(name) > _NAME_WIDTH:
        name = f"{name[: _NAME_WIDTH - 3]}..."
    versions = (
        f"NVIDIA-SMI {card.driver:<12} Driver Version: {card.driver:<12} CUDA Version: {card.cuda}"
    )
    return "\n".join(
        [
            f"{(moment or datetime.now().astimezone()).ctime()}       ",
            edge,
            f"| {versions:<{_WIDTH - 1}}|",
            f"|{columns}+",
            "| GPU  Name        Persistence-M| Bus-Id        Disp.A | Volatile Uncorr. ECC |",
            "| Fan  Temp  Perf  Pwr:Usage/Cap|         Memory-Usage | GPU-Util  Compute M. |",
            "|                               |                      |               MIG M. |",
            f"|{columns.replace('-', '=')}|",
            f"|   0  {name:<{_NAME_WIDTH}}  Off  | 00000000:00:04.0 Off |                    0 |",
            f"| N/A   47C    P0    27W / {card.power_watts:>3}W "
            f"| {used:>6}MiB / {total:>5}MiB |      0%      Default |",
            "|                               |                      |                  N/A |",
            f"+{columns}+",
            " " * (_WIDTH + 2),
            edge,
            f"| {'Processes:':<{_WIDTH - 1}}|",
            "|  GPU   GI   CI        PID   Type   Process name                  GPU Memory |",
            "|        ID   ID                                                   Usage      |",
            f"|{'=' * _WIDTH}|",
            f"|  {'No running processes found':<{_WIDTH - 2}}|",
            edge,
        ]
    )
