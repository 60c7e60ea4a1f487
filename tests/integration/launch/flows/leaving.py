"""A module whose import ends the process."""

import os

print("leaving while imported")
os._exit(7)
