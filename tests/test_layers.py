"""The layer rules of the house: who may import whom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "models": {"dagster_project", "dashboard", "dagster", "duckdb", "streamlit"},
    "dashboard": {"models", "dagster_project", "torch", "dagster"},
    "dagster_project": {"dashboard", "streamlit"},
}
HEAVY = {"torch", "nnunetv2"}
ONLY_LOADED_BY_NNUNET = ROOT / "models" / "segmentation" / "trainer" / "nnUNetTrainerMyonorm.py"


def _imports(nodes) -> set[str]:
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_package_imports_only_what_its_layer_may(package):
    for path in (ROOT / package).rglob("*.py"):
        imported = _imports(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        assert not imported & FORBIDDEN[package], path


@pytest.mark.parametrize("package", FORBIDDEN)
def test_torch_and_nnunet_are_imported_inside_functions_only(package):
    for path in (ROOT / package).rglob("*.py"):
        if path != ONLY_LOADED_BY_NNUNET:
            assert not _imports(ast.parse(path.read_text(encoding="utf-8")).body) & HEAVY, path


@pytest.mark.parametrize("package", FORBIDDEN)
def test_module_says_what_belongs_in_it(package):
    for path in (ROOT / package).rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert not source or ast.get_docstring(ast.parse(source)), path
