"""What both planes tell of themselves, in one shape: measures, metrics, traces and logs.

The planes count and time in plain values (`measures`), which cost next to nothing and need no library. What
shows them to the outside (`exposition`, `tracing`) is imported only where it was asked for.
"""
