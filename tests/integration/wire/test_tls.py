"""TLS of the control plane: files checked, connections secured, certificates renewed while it serves."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs
from support.certificates import Authority, Pair, write_key
from support.wire import Wire, refused
from volery_controlplane.assembly import ControlPlane
from volery_controlplane.grpc.addresses import UnsafeAddress
from volery_controlplane.grpc.tls import ServerTls, TlsFiles, UnusableTls
from volery_controlplane.settings import Settings
from voleryidl.project.v1.project_service_pb2 import ListDomainsRequest

CODES = grpc.StatusCode


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tls_settings(settings: Settings, authority: Authority) -> Settings:
    pair = authority.server()
    return replace(settings, listen="127.0.0.1:0", tls_certificate=pair.certificate, tls_key=pair.key)


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[str]:
    plane = ControlPlane(settings)
    address = await plane.start()
    try:
        yield address
    finally:
        await plane.stop()


@asynccontextmanager
async def secured(address: str, authority: Authority, client: Pair | None = None) -> AsyncIterator[Wire]:
    credentials = grpc.ssl_channel_credentials(
        authority.certificate.read_bytes(),
        client.key.read_bytes() if client else None,
        client.certificate.read_bytes() if client else None,
    )
    async with grpc.aio.secure_channel(address.removeprefix("https://"), credentials) as channel:
        yield Wire(channel, address)


async def domains(wire: Wire) -> Sequence[str]:
    found: Any = await wire.projects.ListDomains(ListDomainsRequest())
    return list(found.domains)


async def test_a_client_that_trusts_the_authority_is_served(
    tls_settings: Settings, authority: Authority
) -> None:
    async with served(tls_settings) as address, secured(address, authority) as wire:
        assert address.startswith("https://127.0.0.1:")
        assert await domains(wire) == ["development", "staging", "production"]


async def test_a_client_that_trusts_another_authority_goes_away(
    tls_settings: Settings, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    async with served(tls_settings) as address, secured(address, stranger) as wire:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await domains(wire)
    assert caught.value.code() is CODES.UNAVAILABLE


async def test_a_certificate_of_another_host_is_not_taken(
    tls_settings: Settings, authority: Authority
) -> None:
    pair = authority.server("elsewhere", hosts=["volery.example"])
    settings = replace(tls_settings, tls_certificate=pair.certificate, tls_key=pair.key)
    async with served(settings) as address, secured(address, authority) as wire:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await domains(wire)
    assert caught.value.code() is CODES.UNAVAILABLE


async def test_plain_text_is_not_answered_where_tls_is(tls_settings: Settings) -> None:
    async with (
        served(tls_settings) as address,
        grpc.aio.insecure_channel(address.removeprefix("https://")) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await domains(Wire(channel, address))
    assert caught.value.code() is CODES.UNAVAILABLE


async def test_new_connections_get_a_renewed_certificate_and_standing_ones_go_on(
    tls_settings: Settings, authority: Authority, tmp_path: Path
) -> None:
    assert tls_settings.tls_certificate is not None
    assert tls_settings.tls_key is not None
    (tmp_path / "next").mkdir()
    successor = Authority(tmp_path / "next")
    renewed = successor.server()
    async with served(tls_settings) as address, secured(address, authority) as before:
        await domains(before)
        with capture_logs() as logs:
            # One after the other: between the two the pair does not fit, which must not hurt anybody.
            os.replace(renewed.key, tls_settings.tls_key)
            async with secured(address, authority) as meanwhile:
                await domains(meanwhile)
            os.replace(renewed.certificate, tls_settings.tls_certificate)
            async with secured(address, successor) as after:
                await domains(after)
        assert [line["event"] for line in logs if "TLS" in line["event"]] == [
            "changed TLS files are not used",
            "TLS was renewed",
        ]
        await domains(before)


async def test_files_that_vanish_while_serving_are_waited_for(
    tls_settings: Settings, authority: Authority
) -> None:
    assert tls_settings.tls_key is not None
    async with served(tls_settings) as address:
        tls_settings.tls_key.rename(tls_settings.tls_key.with_suffix(".away"))
        async with secured(address, authority) as wire:
            await domains(wire)


@pytest.fixture
def mutual(tls_settings: Settings, authority: Authority) -> Settings:
    return replace(
        tls_settings,
        authentication="required",
        tls_client_ca=authority.certificate,
        certificate_roles=("ann=user", "worker-*=worker"),
    )


async def test_a_client_without_a_certificate_does_not_get_in_where_one_is_asked_for(
    mutual: Settings, authority: Authority
) -> None:
    async with served(mutual) as address, secured(address, authority) as wire:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await domains(wire)
    assert caught.value.code() is CODES.UNAVAILABLE


async def test_a_certificate_of_a_stranger_does_not_get_in(
    mutual: Settings, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "stranger").mkdir()
    forged = Authority(tmp_path / "stranger").client("ann")
    async with served(mutual) as address, secured(address, authority, forged) as wire:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await domains(wire)
    assert caught.value.code() is CODES.UNAVAILABLE


async def test_the_name_in_a_certificate_is_the_principal_and_has_a_role(
    mutual: Settings, authority: Authority
) -> None:
    async with served(mutual) as address:
        async with secured(address, authority, authority.client("ann")) as wire:
            assert await domains(wire)
            async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
                await wire.greet()
            assert refusal.metadata["principal"] == "certificate:ann"
        async with secured(address, authority, authority.client("worker-7")) as wire:
            assert await domains(wire)
            async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
                await wire.create()
            assert refusal.metadata["role"] == "worker"


async def test_a_certificate_without_a_role_is_told_what_to_do(
    mutual: Settings, authority: Authority
) -> None:
    async with (
        served(mutual) as address,
        secured(address, authority, authority.client("bob")) as wire,
        refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal,
    ):
        await domains(wire)
    assert "--certificate-roles" in refusal.message


# --- what is told before anything listens ---


def unusable(certificate: Path, key: Path, client_ca: Path | None = None) -> str:
    with pytest.raises(UnusableTls) as caught:
        ServerTls(TlsFiles(certificate, key, client_ca))
    return str(caught.value)


def test_a_file_that_is_not_there_is_named(authority: Authority, tmp_path: Path) -> None:
    pair = authority.server()
    assert f"{tmp_path / 'none'} cannot be read: No such file" in unusable(tmp_path / "none", pair.key)
    assert f"{tmp_path / 'none'} cannot be read" in unusable(pair.certificate, tmp_path / "none")
    assert f"{tmp_path / 'none'} cannot be read" in unusable(pair.certificate, pair.key, tmp_path / "none")


def test_a_key_of_another_certificate_is_told(authority: Authority) -> None:
    one, other = authority.server("one"), authority.server("other")
    assert f"the key in {other.key} is not that of the certificate" in unusable(one.certificate, other.key)


def test_an_expired_certificate_is_told(authority: Authority) -> None:
    pair = authority.server("old", valid=timedelta(hours=-1))
    assert f"{pair.certificate} cannot be used: certificate has expired" in unusable(
        pair.certificate, pair.key
    )


def test_a_certificate_for_clients_is_told(authority: Authority) -> None:
    pair = authority.client("ann")
    assert f"{pair.certificate} cannot be used: " in unusable(pair.certificate, pair.key)


def test_what_is_no_pem_is_told(authority: Authority, tmp_path: Path) -> None:
    pair = authority.server()
    noise = tmp_path / "noise"
    noise.touch(0o600)
    noise.write_bytes(b"\xff\x00noise")
    assert "must be in PEM" in unusable(noise, pair.key)
    assert "must be in PEM" in unusable(pair.certificate, noise)
    assert f"{noise} has no certificate in PEM" in unusable(pair.certificate, pair.key, noise)


def test_a_key_that_others_may_read_is_told_with_the_mend(authority: Authority) -> None:
    pair = authority.server()
    pair.key.chmod(0o644)
    assert f"chmod 600 {pair.key}" in unusable(pair.certificate, pair.key)


def test_a_key_with_a_password_is_told_and_never_asked_for(authority: Authority, tmp_path: Path) -> None:
    pair = authority.server()
    locked = tmp_path / "locked.key"
    write_key(locked, ec.generate_private_key(ec.SECP256R1()), b"secret")
    assert f"{locked} is protected by a password" in unusable(pair.certificate, locked)


def test_a_certificate_of_nobody_with_authority_is_told(authority: Authority, tmp_path: Path) -> None:
    pair = authority.server()
    assert "no certificate of an authority" in unusable(pair.certificate, pair.key, pair.certificate)
    (tmp_path / "old").mkdir()
    expired = Authority(tmp_path / "old", valid=timedelta(hours=-1))
    assert "have expired" in unusable(pair.certificate, pair.key, expired.certificate)


def test_a_key_shows_up_in_no_representation(authority: Authority, tmp_path: Path) -> None:
    pair = authority.server()
    secret = pair.key.read_text().splitlines()[1]
    tls = ServerTls(TlsFiles(pair.certificate, pair.key))
    assert secret not in repr(tls) + repr(vars(tls))


async def test_beyond_loopback_it_takes_both_authentication_and_tls(tls_settings: Settings) -> None:
    everywhere = replace(tls_settings, listen="0.0.0.0:0")
    with pytest.raises(UnsafeAddress, match="without authentication"):
        await ControlPlane(everywhere).start()
    plain = replace(everywhere, authentication="required", tls_certificate=None, tls_key=None)
    with pytest.raises(UnsafeAddress, match="without TLS"):
        await ControlPlane(plain).start()
    async with served(replace(everywhere, authentication="required")) as address:
        assert address.startswith("https://0.0.0.0:")
