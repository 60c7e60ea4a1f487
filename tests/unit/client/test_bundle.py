from __future__ import annotations

import io
import sys
import types
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery._bundle import Source, pack, source_of_file, source_of_module
from volery.errors import BundleError


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def source(root: Path, module: str) -> Source:
    return Source(module, root.joinpath(*module.split(".")).with_suffix(".py"), root)


def test_a_module_is_packed_with_what_it_imports_and_nothing_else(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "flow.py": "import pandas\nfrom steps import clean\nimport lib.deep.inner\n",
            "steps/__init__.py": "",
            "steps/clean.py": "from .words import STOP\nfrom ..nothing import x\n",
            "steps/words.py": "STOP = ()\n",
            "steps/unused.py": "",
            "lib/__init__.py": "",
            "lib/deep/__init__.py": "",
            "lib/deep/inner.py": "def f():\n    import late\n",
            "late.py": "",
            "other.py": "",
        },
    )
    assert pack([source(tmp_path, "flow")]).files == (
        "flow.py",
        "late.py",
        "lib/__init__.py",
        "lib/deep/__init__.py",
        "lib/deep/inner.py",
        "steps/__init__.py",
        "steps/clean.py",
        "steps/words.py",
    )


def test_an_import_by_a_constant_name_is_followed(tmp_path: Path) -> None:
    tree(tmp_path, {"flow.py": "import importlib\nimportlib.import_module('plugin')\n", "plugin.py": ""})
    assert pack([source(tmp_path, "flow")]).files == ("flow.py", "plugin.py")


def test_modules_that_import_each_other_are_packed_once(tmp_path: Path) -> None:
    tree(tmp_path, {"a.py": "import b\n", "b.py": "import a\n"})
    assert pack([source(tmp_path, "a")]).files == ("a.py", "b.py")


def test_the_same_source_gives_the_same_bytes_wherever_and_whenever(tmp_path: Path) -> None:
    files = {"flow.py": "import helper\n", "helper.py": "X = 1\n"}
    one, other = tree(tmp_path / "one", files), tree(tmp_path / "other", dict(reversed(files.items())))
    (other / "flow.py").chmod(0o755)
    packed = pack([source(one, "flow")])
    assert packed.content == pack([source(other, "flow")]).content
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        for entry in archive.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.external_attr >> 16 == 0o644
            assert entry.create_system == 3


def test_another_content_gives_another_hash(tmp_path: Path) -> None:
    tree(tmp_path, {"flow.py": "X = 1\n"})
    before = pack([source(tmp_path, "flow")]).sha256
    (tmp_path / "flow.py").write_text("X = 2\n")
    assert pack([source(tmp_path, "flow")]).sha256 != before


def test_everything_leaves_out_environments_caches_and_secrets(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "flow.py": "",
            "secrets.py": "",  # a module of that name is source
            "data/table.csv": "a,b\n",
            "my-env/pyvenv.cfg": "",
            "my-env/lib/thing.py": "",
            ".git/config": "",
            "__pycache__/flow.pyc": "",
            "node_modules/x.js": "",
            ".env": "TOKEN=1",
            ".env.production": "TOKEN=1",
            "keys/server.pem": "",
            "keys/id_rsa": "",
            "credentials.json": "",
            ".aws/config": "",
            ".volery/volery.db": "",
        },
    )
    assert pack([source(tmp_path, "flow")], everything=True).files == (
        "data/table.csv",
        "flow.py",
        "secrets.py",
    )


def test_files_are_included_by_pattern(tmp_path: Path) -> None:
    tree(tmp_path, {"flow.py": "", "queries/a.sql": "", "queries/deep/b.sql": "", "c.sql": ""})
    assert pack([source(tmp_path, "flow")], include=["queries/**/*.sql"]).files == (
        "flow.py",
        "queries/a.sql",
        "queries/deep/b.sql",
    )


@pytest.mark.parametrize("pattern", ["../*.py", "/etc/*", "a/../../b"])
def test_a_pattern_must_stay_below_the_root(tmp_path: Path, pattern: str) -> None:
    tree(tmp_path, {"flow.py": ""})
    with pytest.raises(BundleError, match="must stay below"):
        pack([source(tmp_path, "flow")], include=[pattern])


def test_a_secret_is_not_packed_even_when_asked_for(tmp_path: Path) -> None:
    tree(tmp_path, {"flow.py": "", ".env": "TOKEN=1"})
    with pytest.raises(BundleError, match="looks like a secret"):
        pack([source(tmp_path, "flow")], include=[".env"])


def test_a_large_bundle_is_refused_with_its_largest_files(tmp_path: Path) -> None:
    tree(tmp_path, {"flow.py": "", "model.bin": "x" * 3000, "small.txt": "y"})
    with pytest.raises(BundleError, match=r"(?s)in 3 files; the limit is.*model\.bin.*small\.txt"):
        pack([source(tmp_path, "flow")], everything=True, size_limit=2000)


def test_two_roots_may_not_disagree_about_a_file(tmp_path: Path) -> None:
    one = tree(tmp_path / "one", {"a.py": "import shared\n", "shared.py": "X = 1\n"})
    other = tree(tmp_path / "other", {"b.py": "import shared\n", "shared.py": "X = 2\n"})
    with pytest.raises(BundleError, match=r"shared\.py"):
        pack([source(one, "a"), source(other, "b")])


def test_two_roots_that_agree_are_packed_together(tmp_path: Path) -> None:
    one = tree(tmp_path / "one", {"a.py": "import shared\n", "shared.py": "X = 1\n"})
    other = tree(tmp_path / "other", {"b.py": "import shared\n", "shared.py": "X = 1\n"})
    assert pack([source(one, "a"), source(other, "b")]).files == ("a.py", "b.py", "shared.py")


def test_the_name_of_a_file_begins_where_its_packages_begin(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {"pipelines/__init__.py": "", "pipelines/train/__init__.py": "", "pipelines/train/fit.py": ""},
    )
    found = source_of_file(tmp_path / "pipelines" / "train" / "fit.py")
    assert (found.module, found.root) == ("pipelines.train.fit", tmp_path)
    assert source_of_file(tmp_path / "pipelines" / "__init__.py").module == "pipelines"


@pytest.mark.parametrize("name", ["my-flow.py", "2fast.py", "notes.txt"])
def test_a_file_that_cannot_be_imported_is_refused(tmp_path: Path, name: str) -> None:
    tree(tmp_path, {name: ""})
    with pytest.raises(BundleError):
        source_of_file(tmp_path / name)


def test_a_module_without_a_file_is_refused_with_the_reason() -> None:
    with pytest.raises(BundleError, match=r"defined in a \.py file"):
        source_of_module(types.ModuleType("typed_by_hand"))


def test_what_is_installed_is_not_packed() -> None:
    assert source_of_module(sys.modules["zipfile"]) is None
    assert source_of_module(pytest) is None


def test_an_imported_module_of_a_namespace_package_keeps_its_whole_name(tmp_path: Path) -> None:
    module = types.ModuleType("pipelines.train")
    module.__file__ = str(tree(tmp_path, {"pipelines/train.py": ""}) / "pipelines" / "train.py")
    found = source_of_module(module)
    assert found is not None
    assert (found.module, found.root) == ("pipelines.train", tmp_path)


def test_a_script_that_runs_is_named_by_its_file(tmp_path: Path) -> None:
    module = types.ModuleType("__main__")
    module.__file__ = str(tree(tmp_path, {"flow.py": ""}) / "flow.py")
    module.__spec__ = None
    found = source_of_module(module)
    assert found is not None
    assert found.module == "flow"


@given(st.binary(max_size=200))
def test_what_cannot_be_parsed_is_packed_as_it_is(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "flow.py").write_text("import strange\n")
        (root / "strange.py").write_bytes(content)
        with zipfile.ZipFile(io.BytesIO(pack([source(root, "flow")]).content)) as archive:
            assert archive.read("strange.py") == content
