"""The Kubernetes launcher: a pod for each attempt.

The rooms in the order in which one attempt passes them:

    launcher        takes the order, and puts all of these together (`attempts` is what it knows of each)
    manifest/       the pod's manifest from the task; asks nobody
    creating        has the API server create it: `refusals` reads its answers, `quota` and `namespaces` wait
                    for room and make what is not there
    watching        follows all pods of the installation; `inventory` is what is known of them
    status/         how a pod stands, from what the API tells of it; asks nobody
    lifecycle       what follows from that, and from the time that passes; `pod_events` says why volumes
                    are late
    logs            follows what the pod writes
    ending          what the attempt came to, by its verdict (`verdicts`); has pods end that are to
    observations    tells the worker
    removing        removes the pod once that is committed
    reconciler      removes pods that nobody waits for any more

Beside them: `api` and `connections` to the API server; `names` and `labels` by which a pod is found again;
`background` tasks; settings (`launch_settings`, `manifest/pod_settings`), read by `wiring`; `measures`.
"""
