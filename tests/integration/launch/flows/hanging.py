"""A module whose import never ends."""

import signal

print("import begun")
while True:
    signal.pause()
