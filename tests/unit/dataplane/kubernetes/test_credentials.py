from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import pytest
import yaml
from support.certificates import Authority
from volery_dataplane.launch.kubernetes.api import Api
from volery_dataplane.launch.kubernetes.launch_settings import ApiSettings


async def test_keys_that_a_kubeconfig_holds_in_itself_lie_where_a_killed_worker_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, own = tmp_path / "tmp", tmp_path / "scratch" / "credentials"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    authority = Authority(tmp_path)
    pair = authority.client("worker")
    cluster = {"server": "https://127.0.0.1:1", "certificate-authority-data": embedded(authority.certificate)}
    user = {"client-certificate-data": embedded(pair.certificate), "client-key-data": embedded(pair.key)}
    told = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(told))

    api = await Api.connect(ApiSettings(kubeconfig=str(kubeconfig), credentials=own))
    await api.close()

    assert list(elsewhere.iterdir()) == []
    assert sorted(path.read_bytes() for path in own.iterdir()) == sorted(
        path.read_bytes() for path in (authority.certificate, pair.certificate, pair.key)
    )


def embedded(path: Path) -> str:
    """A file as kubeconfigs hold it."""
    return base64.b64encode(path.read_bytes()).decode()
