"""How pods stand: read from what the API tells of them, without asking cluster or clock.

`reading` looks at a pod through `pod_view` and gives one of `standings`; what waits is told by `pending`,
what is over by `ended`, in the words of `failures`.
"""
