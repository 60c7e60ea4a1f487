"""Reads the API server's answers to the creation of a pod: what they mean for the attempt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from volery_rules.quantities import quantity
from voleryidl.core.v1.failure_pb2 import Failure

from volery_dataplane.launch.kubernetes.labels import INSTALLATION
from volery_dataplane.launch.kubernetes.status.failures import sentence, system, user


class Answer(Enum):
    """What a refused creation means.

    Admission comes before storage: a namespace whose quota is used up answers so for a pod that it has too.
    """

    EXISTS = "the pod is there already"
    QUOTA = "the namespace's quota is used up: wait for room, unless the pod is there already"
    NO_NAMESPACE = "the namespace is not there: make it, and try again"
    FORBIDDEN = "the cluster does not allow it, and may later"
    INVALID = "the pod is not one that this cluster takes, and no repeat helps"
    TOO_LARGE = "the pod is too large, and no repeat helps"
    OTHER = "the API server, or the way to it, is at fault: try again"


@dataclass(frozen=True, slots=True)
class CreateRefusal:
    """An answer that is not a new pod.

    Attributes:
        answer: what it means.
        message: for people: what is in the way, and what to do.
        failure: of the attempt, where it is to fail; None where creation is tried again, or worked.
        infrastructure: whether the infrastructure is to blame for the failure.
    """

    answer: Answer
    message: str
    failure: Failure | None = None
    infrastructure: bool = False


# `exceeded quota: NAME, requested: a=1,b=2, used: a=3,b=4, limited: a=5,b=6`, once or more
_QUOTA = re.compile(
    r"exceeded quota: (?P<name>[^,\s]+), requested: (?P<requested>\S+?), used: (?P<used>\S+?), "
    r"limited: (?P<limited>[^\s\]]+)"
)
_QUOTA_UNKNOWN = "status unknown for quota"
_QUOTA_WANTS = "failed quota"
# What admission refuses for what the pod is, not for who asks or when.
_REFUSED_PODS = (
    "no PriorityClass with name",
    "pod rejected: RuntimeClass",
    "admission webhook",
    "ValidatingAdmissionPolicy",
)
# What the manifests' policy `volery-worker-boundary` says: about where the worker acts, not about the pod.
_OUT_OF_BOUNDS = f"workers act in namespaces with the label {INSTALLATION}"
# The admission of LimitRange objects: `maximum memory usage per Container is 1Gi, but limit is 2Gi`
_LIMIT_RANGE = re.compile(
    r"(?:maximum|minimum) \S+ usage per (?:Container|Pod|PersistentVolumeClaim) is"
    r"|limit to request ratio per (?:Container|Pod) is"
)
_TOO_LARGE_500 = ("request is too large", "larger than max", "Request entity too large")
_NAMESPACE_MISSING = re.compile(r"namespaces \S+ not found")


def create_refused(status: int, reason: str, message: str) -> CreateRefusal:
    """What an answer means that is not a new pod.

    Args:
        status: of HTTP; 0 where there was no answer at all.
        reason: of the Status object, such as `AlreadyExists`; "" where there was none.
        message: of the Status object, or what else was answered.
    """
    if status == 409 and reason in ("AlreadyExists", ""):
        return CreateRefusal(Answer.EXISTS, message)
    if status == 413 or (status >= 500 and any(words in message for words in _TOO_LARGE_500)):
        return _permanent(Answer.TOO_LARGE, "the pod is too large for the API server", message)
    if status == 404 and _NAMESPACE_MISSING.search(message):
        return CreateRefusal(Answer.NO_NAMESPACE, message)
    if status in (400, 422) or (status == 404 and reason == "NotFound"):
        return _permanent(Answer.INVALID, "the API server takes no such pod", message)
    if status == 403:
        return _forbidden(message)
    return CreateRefusal(
        Answer.OTHER, sentence("the API server did not make the pod", message or f"status {status}")
    )


def _forbidden(message: str) -> CreateRefusal:
    quotas = list(_QUOTA.finditer(message))
    if quotas:
        return _over_quota(quotas, message)
    if _QUOTA_UNKNOWN in message:
        return CreateRefusal(Answer.QUOTA, "the namespace's quota has not been counted yet")
    if _QUOTA_WANTS in message:
        text = "the namespace's quota wants every container to say how much it needs; set requests and limits"
        return _permanent(Answer.INVALID, text, message)
    if _LIMIT_RANGE.search(message):
        return _permanent(Answer.INVALID, "the task's resources are outside the namespace's limits", message)
    if "violates PodSecurity" in message:
        text = "the namespace's security profile does not allow what the task's pod template asks for"
        return _permanent(Answer.INVALID, text, message)
    if any(words in message for words in _REFUSED_PODS) and _OUT_OF_BOUNDS not in message:
        return _permanent(Answer.INVALID, "the cluster's admission rules refuse the pod", message)
    text = sentence("the worker may not make the pod", message)
    return CreateRefusal(Answer.FORBIDDEN, text, system(text, "PodForbidden"), infrastructure=True)


def _over_quota(quotas: list[re.Match[str]], message: str) -> CreateRefusal:
    said = []
    for told in quotas:
        requested, used, limited = (_amounts(told[part]) for part in ("requested", "used", "limited"))
        for kind, amount in requested.items():
            limit = limited.get(kind)
            if limit is None or _number(amount) is None or _number(limit) is None:
                continue
            if _more(amount, limit):
                text = (
                    f"the task asks for {amount} of {kind}, and quota {told['name']!r} of its namespace "
                    f"allows {limit} in all; it can never run there. Ask for less, or have the quota raised"
                )
                return CreateRefusal(
                    Answer.INVALID, text, user(text, "QuotaTooSmall", recoverable=False), infrastructure=False
                )
            said.append(f"{kind} {used.get(kind, '?')} of {limit} used, {amount} wanted")
        said.append(f"quota {told['name']!r}")
    return CreateRefusal(
        Answer.QUOTA, sentence("the namespace's quota is used up", ", ".join(said) or message)
    )


def _amounts(text: str) -> dict[str, str]:
    """`a=1,b=2` as a mapping."""
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


def _number(text: str) -> Fraction | None:
    try:
        return quantity(text)
    except ValueError:
        return None


def _more(amount: str, limit: str) -> bool:
    return quantity(amount) > quantity(limit)


def _permanent(answer: Answer, text: str, message: str) -> CreateRefusal:
    text = sentence(text, message)
    code = "PodTooLarge" if answer is Answer.TOO_LARGE else "PodRefused"
    return CreateRefusal(answer, text, user(text, code, recoverable=False))
