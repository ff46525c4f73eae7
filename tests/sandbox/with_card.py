"""Stands before a module of ours and gives its process a card: the virtual one, as if it were real.

python with_card.py CARD MODULE [ARGUMENT...]
"""

import importlib
import sys
import warnings
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    warnings.simplefilter("ignore")
    import grader.vgpu

    grader.vgpu.install(sys.argv[2], core=Path(sys.argv[1]))
    importlib.import_module(sys.argv[3]).main(*sys.argv[4:])
