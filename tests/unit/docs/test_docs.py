"""The documents tell the truth that can be checked without a node: links lead somewhere, commands and files exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from dozen.cli import api_reference, field_tests, reference, resource_reference
from dozen.cli.main import COMMANDS
from dozen.cli.tables import table
from dozen.machinery.config import generate, load
from dozen.machinery.config.support import State, warnings
from dozen.machinery.plan import Put
from dozen.machinery.resources import all_kinds
from dozen.machinery.resources.config import ACTIVE, MACHINE_CONFIG, MachineConfigSpec
from dozen.machinery.resources.settings import NETWORK, NetworkSettings
from dozen.node.controllers.settings import SettingsController
from dozen.node.services.catalogue import CATALOGUE
from dozen.testing.controllers import PlainView

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "docs/guide.md"
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#:]+)\)")
COMMAND = re.compile(r"dozenctl ([a-z][a-z0-9-]+)")
PATH = re.compile(r"`((?:src|launcher|recipes|tests|docs|setup|api|bench)/[A-Za-z0-9_./-]+)`")
MAKE = re.compile(r"`make ([a-z]+)`|^make ([a-z]+)", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    missing = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(document: Path) -> None:
    missing = [path for path in PATH.findall(document.read_text()) if not (ROOT / path).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_that_are_named_exist(document: Path) -> None:
    unknown = set(COMMAND.findall(document.read_text())) - set(COMMANDS)
    assert not unknown


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_that_are_named_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {first or second for first, second in MAKE.findall(document.read_text())}
    assert named <= targets


def test_the_readme_s_table_is_the_recipes(tmp_path: Path) -> None:
    listed = set(re.findall(r"^\| `(/s?bin/[a-z0-9_.-]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE))
    recipes = "\n".join(path.read_text() for path in (ROOT / "recipes").glob("*/recipe.toml"))
    assert listed == set(re.findall(r'\[\[binary\]\]\npath = "(/s?bin/[^"]+)"', recipes))
    assert len(listed) == 12


def test_the_readme_s_samples_are_what_is_printed() -> None:
    """The names are the image's and the catalogue's, in the client's own table."""
    list_rows, service_rows = (sample_of(command) for command in ("list /sbin", "services"))
    assert list_rows[0] == ["NODE", "NAME"]
    recipes = [tomllib.loads(path.read_text()) for path in (ROOT / "recipes").glob("*/recipe.toml")]
    programs = [binary for recipe in recipes for binary in recipe.get("binary", ())]
    names = {
        name
        for each in programs
        for name in (Path(each["path"]).name, *each.get("hardlinks", ()), *each.get("links", ()))
        if each["path"].startswith("/sbin/")
    }
    shown = [row[1] for row in list_rows[1:]]
    assert shown == [".", *sorted(names)][: len(shown)]
    assert service_rows[0] == ["NODE", "SERVICE", "STATE", "HEALTH", "LAST CHANGE", "LAST EVENT"]
    assert [row[1] for row in service_rows[1:]] == sorted(service.id for service in CATALOGUE)


def sample_of(command: str) -> list[list[str]]:
    """The cells of a table that the README shows, which must be laid out as the client would."""
    text = (ROOT / "README.md").read_text().partition(f"$ build/dozenctl {command}\n")[2]
    lines = re.split(r"…|\n\n|```", text)[0].strip("\n").splitlines()
    cells = [re.split(r" {3,}", line) for line in lines]
    assert table(cells[0], cells[1:]) == lines
    return cells


def test_the_page_about_the_configuration_is_the_models() -> None:
    assert reference.OUTPUT.read_text() == reference.render(), "refresh it: python -m dozen.cli.reference"


def test_the_page_about_the_api_is_the_code() -> None:
    assert api_reference.OUTPUT.read_text() == api_reference.render(), "refresh it: python -m dozen.cli.api_reference"


def test_the_page_about_the_api_has_all_of_it() -> None:
    services = api_reference.services()
    assert len(services) == 14
    assert sum(len(methods) for methods in services.values()) == 85


def test_the_page_about_resources_is_the_code() -> None:
    page = resource_reference.render()
    assert resource_reference.OUTPUT.read_text() == page, "refresh it: python -m dozen.cli.resource_reference"


def test_the_page_about_resources_has_all_of_them() -> None:
    known, absent = {kind.name for kind in all_kinds()}, set(resource_reference.absences())
    assert not known & absent
    assert sum(not resource_reference.is_ours(name) for name in known | absent) == 197
    served = set(resource_reference.owners())
    assert known - set(resource_reference.EMPTY) <= served
    assert not served & set(resource_reference.EMPTY)
    assert set(resource_reference.shown_by()) == known


def test_tests_that_the_page_about_the_api_names_exist() -> None:
    known = {f"/{service}/{method}" for service, methods in api_reference.services().items() for method in methods}
    shown = api_reference.shown_by()
    assert set(shown) <= known
    assert_tests_exist({*shown.values(), api_reference.REFUSED_BY})


def test_tests_that_the_page_about_resources_names_exist() -> None:
    assert_tests_exist({*resource_reference.shown_by().values(), resource_reference.ABSENT_TEST})


def test_every_field_of_the_configuration_that_is_used_has_a_test_and_no_test_is_of_others() -> None:
    used = {row.path for row in reference.all_rows() if row.support.state is State.USED}
    refused = {row.path for row in reference.all_rows() if row.support.state is State.REFUSED}
    shown = set(field_tests.shown_by())
    assert used | refused == shown, "name a test, best a case in tests/cases/fields; or a reason in support.py"


def test_tests_that_the_page_about_the_configuration_names_exist_and_speak_of_the_fields() -> None:
    by_hand = {path: test for path, test in field_tests.shown_by().items() if not test.startswith(field_tests.CASE)}
    assert_tests_exist({*by_hand.values(), field_tests.CASES_TEST})
    for path, test in by_hand.items():
        text = (ROOT / "tests" / test.partition("::")[0]).read_text()
        data = [file.read_text() for file in (ROOT / "tests/cases").rglob("*.yaml") if f'"{file.name}"' in text]
        word = re.compile(rf"\b{re.escape(re.split('[.:]', path)[-1])}\b")
        assert any(map(word.search, (text, *data))), f"{test} says nothing of {path}"
    names = [case["name"] for case in field_tests.cases()]
    assert len(set(names)) == len(names)


def assert_tests_exist(tests: set[str]) -> None:
    for test in tests:
        file, _, name = test.partition("::")
        assert re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), test


def test_the_guide_s_network_takes_effect_whole() -> None:
    (example,) = re.findall(r"^## The network\n.*?^```yaml\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    given = f"{generate('c', 'https://10.20.0.1:6443').controlplane}\n---\n{example}"
    assert warnings(load(given)) == []
    view = PlainView((MACHINE_CONFIG, ACTIVE, MachineConfigSpec(text=given)))
    (settings,) = [
        step.spec for step in SettingsController().plan(view) if isinstance(step, Put) and step.id == NETWORK
    ]
    assert isinstance(settings, NetworkSettings)
    made = {link.name: link.logical.kind for link in settings.links if link.logical}
    assert made == {"bond0": "bond", "cluster": "vlan"}
    assert settings.firewall is not None
    assert settings.firewall.block
    assert [rule.name for rule in settings.firewall.rules] == ["administrators", "cluster", "pods-of-other-nodes"]
    assert settings.firewall.rules[0].excepted == ("10.9.7.0/24",)
