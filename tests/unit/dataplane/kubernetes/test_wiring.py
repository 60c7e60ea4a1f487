"""The launcher's settings from the environment: read as what they must be, and refused with their names."""

from __future__ import annotations

from pathlib import Path

import pytest
from volery_dataplane.launch.choosing import CannotLaunch, Surrounding
from volery_dataplane.launch.kubernetes.launch_settings import LaunchSettings
from volery_dataplane.launch.kubernetes.wiring import Knobs, launch_settings
from volery_dataplane.storage.bundles import BundleLimits
from volery_dataplane.storage.files import FileBlobs
from volery_dataplane.worker.ports import AttemptName, LauncherEvents


class Nobody:
    async def live_attempts(self, names: list[AttemptName]) -> list[bool]:
        raise AssertionError("nothing is launched")


def around(**changes: object) -> Surrounding:
    given: dict[str, object] = {
        "scratch": Path("/scratch"),
        "slots": 7,
        "log_size_limit": 1000,
        "events": LauncherEvents(observed=lambda seen: None),
        "blobs": FileBlobs(),
        "registrar": Nobody(),
        **changes,
    }
    return Surrounding(**given)  # type: ignore[arg-type]  # each is what its name says


def read(environment: dict[str, str] | None = None, **changes: object) -> LaunchSettings:
    return launch_settings(Knobs(environment or {}), around(**changes))


def test_without_variables_everything_has_its_default() -> None:
    settings = read()
    assert (settings.slots, settings.logs.limit) == (7, 1000)
    assert settings == LaunchSettings(7, settings.logs, settings.pods)
    bundles = BundleLimits()
    assert settings.pods.bundle_limits == (bundles.size, bundles.unpacked, bundles.members, bundles.ratio)


def test_the_worker_s_limits_of_bundles_are_its_pods_too() -> None:
    assert read(bundle_limits=(1, 2, 3, 4)).pods.bundle_limits == (1, 2, 3, 4)


def test_variables_say_otherwise() -> None:
    settings = read(
        {
            "VOLERY_POD_IMAGE": "mine:1",
            "VOLERY_POD_USER": "image",
            "VOLERY_POD_CREATES": "3",
            "VOLERY_WATCHED_NAMESPACES": "a, b,",
            "VOLERY_POD_IMAGE_PATIENCE": "1.5",
            "VOLERY_POD_SPOT": '{"nodeSelector": {"spot": "yes"}}',
            "VOLERY_POD_READ_ONLY_ROOT": "Yes",
        }
    )
    assert (settings.pods.image, settings.pods.run_as_user, settings.creates) == ("mine:1", None, 3)
    assert settings.watched == ("a", "b")
    assert settings.patience.image == 1.5
    assert settings.pods.spot.node_selector == {"spot": "yes"}
    assert settings.pods.read_only_root


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("VOLERY_POD_CREATES", "many", "a whole number"),
        ("VOLERY_POD_CREATES", "0", "must not be 0"),
        ("VOLERY_POD_IMAGE_PATIENCE", "soon", "a number"),
        ("VOLERY_POD_READ_ONLY_ROOT", "perhaps", "yes or no"),
        ("VOLERY_POD_USER", "me", "a number, or 'image'"),
        ("VOLERY_POD_SPOT", '{"selector": {}}', "a placement has"),
        ("VOLERY_POD_SPOT", "{", "cannot be read"),
        ("VOLERY_POD_TEMPLATE", "/nowhere/template.yaml", "cannot be read"),
        ("VOLERY_POD_ACCELERATORS", "[1]\n", "must hold a mapping"),
        ("VOLERY_NAMESPACE_TEMPLATE", "{owner}", "VOLERY_NAMESPACE_TEMPLATE"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name: str, text: str, words: str) -> None:
    with pytest.raises(CannotLaunch, match=name) as refused:
        read({name: text})
    assert words in str(refused.value)
