"""Derives both generated trees from the IDL.

`idl/gen/python/voleryidl` (protobuf + grpcio, for servers and workers) and
`clients/python/volery/_idl` (betterproto2, for the SDK). Both are checked in, so that an
editable install finds packages and a reader finds code; `make gen-check` proves them fresh.

`google/api` and `google/rpc` come from the installed googleapis-common-protos wheel and are
never copied into the tree.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

from google.api import annotations_pb2

IDL = Path(__file__).resolve().parent
ROOT = IDL.parent
SERVER_TREE = IDL / "gen" / "python" / "voleryidl"
CLIENT_TREE = ROOT / "clients" / "python" / "volery" / "_idl"
RICH_ERRORS = ("google/rpc/status.proto", "google/rpc/error_details.proto")


def third_party() -> Path:
    """The directory that holds `google/api` and `google/rpc` as installed."""
    return Path(annotations_pb2.__file__).parent.parent.parent


def protoc(*arguments: str, source: Path = IDL) -> None:
    """Runs the protoc of grpcio-tools; raises CalledProcessError with its message printed."""
    builtin = Path(str(resources.files("grpc_tools"))) / "_proto"
    includes = [f"-I{source}", f"-I{third_party()}", f"-I{builtin}"]
    # The arguments are this script's own and the repository's file names.
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *includes, *arguments], check=True)


def generate_server(protos: list[str]) -> None:
    """Messages and stubs on protobuf's own runtime."""
    with tempfile.TemporaryDirectory() as scratch:
        services = [proto for proto in protos if proto.endswith("_service.proto")]
        protoc(f"--python_out={scratch}", f"--pyi_out={scratch}", *protos)
        protoc(f"--grpc_python_out={scratch}", *services)
        shutil.rmtree(SERVER_TREE, ignore_errors=True)
        shutil.copytree(Path(scratch) / "voleryidl", SERVER_TREE)
    for directory in [SERVER_TREE, *(path for path in SERVER_TREE.rglob("*") if path.is_dir())]:
        (directory / "__init__.py").write_text('"""Generated from the IDL; see idl/generate.py."""\n')
    (SERVER_TREE / "py.typed").write_text("")


def write_without_http_rules(protos: list[str], target: Path) -> None:
    """Copies the protos without their HTTP annotations.

    The SDK speaks gRPC only, and the annotations would pull all of descriptor.proto into it,
    which costs a third of its import time.
    """
    for proto in protos:
        text = (IDL / proto).read_text()
        text = text.replace('import "google/api/annotations.proto";\n', "")
        text = re.sub(r"(  rpc [^{;]+?) \{\n.*?\n  \}", r"\1;", text, flags=re.DOTALL)
        (target / proto).parent.mkdir(parents=True, exist_ok=True)
        (target / proto).write_text(text)


def generate_client(protos: list[str]) -> None:
    """Messages and asynchronous stubs on betterproto2, with google.rpc for error details."""
    plugin = Path(sys.executable).parent / "protoc-gen-python_betterproto2"
    with tempfile.TemporaryDirectory() as bare, tempfile.TemporaryDirectory() as scratch:
        write_without_http_rules(protos, Path(bare))
        protoc(
            f"--plugin=protoc-gen-python_betterproto2={plugin}",
            f"--python_betterproto2_out={scratch}",
            "--python_betterproto2_opt=client_generation=async",
            "--python_betterproto2_opt=server_generation=none",
            *protos,
            *RICH_ERRORS,
            source=Path(bare),
        )
        shutil.rmtree(CLIENT_TREE, ignore_errors=True)
        shutil.copytree(scratch, CLIENT_TREE)


def main() -> None:
    """Writes both trees."""
    protos = sorted(str(path.relative_to(IDL)) for path in (IDL / "voleryidl").rglob("*.proto"))
    generate_server(protos)
    generate_client([proto for proto in protos if "/worker/" not in proto])


if __name__ == "__main__":
    main()
