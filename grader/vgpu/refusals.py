"""What the virtual GPU refuses in one sentence, since it is not modelled."""

from collections.abc import Callable
from typing import NoReturn


def refuse(what: str) -> Callable[..., NoReturn]:
    """Return a function that raises, whatever it is called with."""

    def raise_it(*_: object, **__: object) -> NoReturn:
        raise NotImplementedError(f"vgpu: {what} is not modelled on the virtual GPU")

    return raise_it
