"""A module whose import loads OpenBLAS, which starts its threads then."""

import numpy as np


def multiply() -> int:
    square = np.ones((400, 400))
    return int((square @ square)[0, 0])
