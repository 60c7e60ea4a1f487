"""What a task says of its pods: images, secrets, templates, labels, and a container's command.

A pod that Kubernetes refuses would be found out when the task starts, perhaps hours into an execution; so
what can be told without a cluster is told here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from google.protobuf.struct_pb2 import Struct
from volery_rules.placeholders import DIRECTORIES, VALUES, placeholders
from voleryidl.core.v1.task_pb2 import ContainerTarget, PodTemplate, SecretRequest, TaskTemplate

from volery_controlplane.domain import kubernetes_names as kubernetes
from volery_controlplane.domain.compiler.report import Code, Place, Report, did_you_mean
from volery_controlplane.domain.names import shown

_FORBIDDEN_SPEC: Final[Mapping[str, str]] = {
    "restartPolicy": "an attempt's containers are never restarted; ask for retries instead",
    "activeDeadlineSeconds": "set a timeout instead",
    "nodeName": "use nodeSelector or affinity, which the scheduler sees",
    "ephemeralContainers": "they are added to pods that run",
    "hostNetwork": "tasks do not share the machine's network",
    "hostPID": "tasks do not see the machine's processes",
    "hostIPC": "tasks do not share the machine's memory",
}
"""Fields of a pod's specification that a template may not set, each with what to do instead."""

_NO_PLACE: Final = ("/", "/proc", "/sys", "/dev", "/var/volery")
"""Where nothing of a user may be mounted: it would hide the machine's files or the platform's."""

_HIDING: Final = ("/bin", "/etc", "/lib", "/lib64", "/sbin", "/usr", "/var", "/home", "/root", "/tmp", "/opt")  # noqa: S108  # names to refuse
"""Directories that a mount at their very place would hide."""

_PRIMARY: Final = "primary"


def check_pods(task: TaskTemplate, place: Place, report: Report) -> None:
    """Complains about what a task says of its pods."""
    if task.container_image and task.HasField("container"):
        message = "a container task names its image in its target"
        report.add(Code.ILLEGAL_TARGET, place.at("container_image"), message, "leave one of them out")
    elif task.container_image:
        check_image(task.container_image, place.at("container_image"), report)
    if task.HasField("pod_template"):
        check_pod_template(task.pod_template, place.at("pod_template"), report)
    check_secrets(task.secrets, task.environment, place.at("secrets"), report)


def check_image(reference: str, place: Place, report: Report) -> None:
    """Complains about an image reference."""
    complaint = kubernetes.check_image(reference)
    if complaint:
        hint = "names are in lower case; a tag follows a colon" if reference else ""
        report.add(Code.ILLEGAL_IMAGE, place, f"the image {shown(reference)} {complaint}", hint)


# --- secrets ---


def check_secrets(
    secrets: Iterable[SecretRequest], environment: Mapping[str, str], place: Place, report: Report
) -> None:
    """Complains about secrets that cannot be named, or be put where they should be."""
    taken: dict[str, int] = {}
    for index, secret in enumerate(secrets):
        here = place.at(f"[{index}]")
        _check_secret(secret, here, report)
        target = secret.environment_variable or secret.file
        if target and target in taken:
            message = f"secret {taken[target]} is put at {shown(target)} too"
            report.add(Code.ILLEGAL_SECRET, here, message, "give each its own place")
        taken.setdefault(target, index)
        if secret.environment_variable and secret.environment_variable in environment:
            message = f"the task's environment sets {shown(secret.environment_variable)} already"
            report.add(Code.ILLEGAL_SECRET, here.at("environment_variable"), message, "keep one of them")


def _check_secret(secret: SecretRequest, place: Place, report: Report) -> None:
    def complain(part: str, message: str, hint: str = "") -> None:
        report.add(Code.ILLEGAL_SECRET, place.at(part) if part else place, message, hint)

    if not secret.group:
        complain("group", "the group is not named", "a group is a Secret of the cluster; a key is one in it")
    elif complaint := kubernetes.check_secret_group(secret.group):
        complain("group", f"the group {shown(secret.group)} {complaint}")
    if secret.key and (complaint := kubernetes.check_secret_key(secret.key)):
        complain("key", f"the key {shown(secret.key)} {complaint}")
    if secret.environment_variable:
        if not secret.key:
            hint = "name a key, or put the group into a directory with `file`"
            complain("key", "a whole group does not go into one environment variable", hint)
        if complaint := kubernetes.check_variable(secret.environment_variable):
            complain("environment_variable", f"{shown(secret.environment_variable)} {complaint}")
    elif secret.file:
        if complaint := _path_complaint(secret.file):
            hint = "for example /var/secrets/database/password"
            complain("file", f"the path {shown(secret.file)} {complaint}", hint)
    else:
        complain("", "it is not said where the secret is put", "name an environment variable or a file")


def _path_complaint(path: str) -> str:
    """What is wrong with a path that something is mounted at; "" when it is good."""
    if not path.startswith("/") or path.startswith("//") or "\0" in path or "\n" in path or len(path) > 1024:
        return "must be absolute"
    if posixpath.normpath(path) != path or ":" in path:
        return "must have no colon, no . or .. in it, and no slash at its end"
    if path in _HIDING:
        return "must not be a directory of the system"
    for root in _NO_PLACE:
        if path == root or (root != "/" and path.startswith(f"{root}/")):
            return f"must not lie in {root}" if root != "/" else "must not be the root"
    return ""


# --- pod templates ---


def check_pod_template(template: PodTemplate, place: Place, report: Report) -> None:
    """Complains about a pod template: names, labels, annotations, and the specification's shape."""

    def complain(part: str, message: str, hint: str = "") -> None:
        report.add(Code.ILLEGAL_POD_TEMPLATE, place.at(part), message, hint)

    for part, text, check in (
        ("name", template.name, kubernetes.check_object_name),
        ("service_account", template.service_account, kubernetes.check_object_name),
        ("primary_container", template.primary_container, kubernetes.check_container_name),
    ):
        if text and (complaint := check(text)):
            complain(part, f"{shown(text)} {complaint}")
    if template.name and template.HasField("spec"):
        complain("name", "a template is named and a specification is given", "keep one of them")
    check_labels(template.labels, place.at("labels"), report)
    check_annotations(template.annotations, place.at("annotations"), report)
    if template.HasField("spec"):
        _check_spec(template, place.at("spec"), report)


def check_labels(labels: Mapping[str, str], place: Place, report: Report) -> None:
    """Complains about labels of pods."""
    for key in sorted(labels):
        if complaint := kubernetes.check_key(key) or kubernetes.check_label_value(labels[key]):
            message = f"the label {shown(f'{key}={labels[key]}')} {complaint}"
            report.add(Code.ILLEGAL_LABEL, place.at(f"[{key}]"), message)


def check_annotations(annotations: Mapping[str, str], place: Place, report: Report) -> None:
    """Complains about annotations of pods."""
    for key in sorted(annotations):
        if complaint := kubernetes.check_key(key):
            report.add(Code.ILLEGAL_LABEL, place.at(f"[{key}]"), f"the annotation {shown(key)} {complaint}")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > kubernetes.ANNOTATIONS_SIZE:
        message = f"the annotations are {size} bytes together; {kubernetes.ANNOTATIONS_SIZE} is the most"
        report.add(Code.ILLEGAL_LABEL, place, message)


def _check_spec(template: PodTemplate, place: Place, report: Report) -> None:
    def complain(part: str, message: str, hint: str = "") -> None:
        report.add(Code.ILLEGAL_POD_TEMPLATE, place.at(part), message, hint)

    spec = template.spec
    for field, hint in _FORBIDDEN_SPEC.items():
        if field in spec and spec[field] and spec[field] != "Never":  # the policy there is, and no other
            complain(field, f"a template does not set {field}", hint)
    primary, names = template.primary_container or _PRIMARY, set()
    for section in ("containers", "initContainers"):
        for index, container in enumerate(_objects(spec, section)):
            here = f"{section}[{index}].name"
            called = container["name"] if "name" in container.fields else ""
            if not isinstance(called, str) or kubernetes.check_container_name(called):
                complain(here, f"{shown(str(called))} {kubernetes.check_container_name('')}")
                continue
            if called in names:
                complain(here, f"two containers are named {shown(called)}")
            names.add(called)
            image = container["image"] if "image" in container.fields else ""
            if image and (not isinstance(image, str) or kubernetes.check_image(image)):
                complain(f"{section}[{index}].image", f"{shown(str(image))} {kubernetes.check_image('?')}")
            elif not image and called != primary:
                complain(f"{section}[{index}].image", f"container {shown(called)} names no image")
    main = [container["name"] for container in _objects(spec, "containers") if "name" in container]
    if primary not in main:
        said = "primary_container names" if template.primary_container else "the primary container is called"
        hint = did_you_mean(primary, [str(name) for name in main]) or "add it to the specification"
        message = f"{said} {shown(primary)}, which is not among the specification's containers"
        complain("containers", message, hint)


def _objects(spec: Struct, name: str) -> list[Struct]:
    """The objects of a list of a specification; what is none is left to Kubernetes to refuse."""
    found: object = spec[name] if name in spec.fields else None
    values = getattr(found, "values", None)
    return [value.struct_value for value in values if value.HasField("struct_value")] if values else []


# --- container tasks ---


def check_container(task: TaskTemplate, place: Place, report: Report) -> None:
    """Complains about what a container task runs."""
    target = task.container
    check_image(target.image, place.at("image"), report)
    for part in ("input_path", "output_path", "working_dir"):
        path: str = getattr(target, part)
        if path and part == "working_dir":
            if not path.startswith("/") or "\0" in path:
                report.add(Code.ILLEGAL_TARGET, place.at(part), f"the path {shown(path)} must be absolute")
        elif path and (complaint := _directory_complaint(path)):
            report.add(Code.ILLEGAL_TARGET, place.at(part), f"the path {shown(path)} {complaint}")
    if _contained(target):
        message = f"one of {shown(target.input_path)} and {shown(target.output_path)} lies in the other"
        report.add(Code.ILLEGAL_TARGET, place.at("output_path"), message, "give each its own directory")
    _check_placeholders(task, place, report)


def _directory_complaint(path: str) -> str:
    """The contract's own default places are the only ones that may lie where the platform keeps things."""
    return "" if path in ("/var/volery/inputs", "/var/volery/outputs") else _path_complaint(path)


def _contained(target: ContainerTarget) -> bool:
    inputs = f"{target.input_path or '/var/volery/inputs'}/"
    outputs = f"{target.output_path or '/var/volery/outputs'}/"
    return inputs.startswith(outputs) or outputs.startswith(inputs)


def _check_placeholders(task: TaskTemplate, place: Place, report: Report) -> None:
    declared = {
        "inputs": [variable.name for variable in task.interface.inputs],
        "outputs": [variable.name for variable in task.interface.outputs],
    }
    for part in ("command", "args"):
        for index, text in enumerate(getattr(task.container, part)):
            here = place.at(f"{part}[{index}]")
            if "\0" in text:
                report.add(Code.ILLEGAL_TARGET, here, "the text has a zero byte")
            for found in placeholders(text):
                if found.what not in declared:
                    # The program's own template, unless it looks as if it was meant to be one of ours.
                    if near := get_close_matches(found.what.lower(), (*VALUES, *DIRECTORIES), n=1):
                        message = f"{shown(found.text)} stands for nothing"
                        if found.what not in DIRECTORIES:
                            report.add(Code.UNKNOWN_VARIABLE, here, message, f"did you mean {near[0]!r}?")
                        elif found.name:
                            report.add(Code.UNKNOWN_VARIABLE, here, message, "a directory has no parts here")
                elif found.name not in declared[found.what]:
                    message = f"{shown(found.text)}: there is no {found.what[:-1]} {shown(found.name)}"
                    hint = did_you_mean(found.name, declared[found.what])
                    report.add(Code.UNKNOWN_VARIABLE, here, message, hint)
