"""Many modules in one file."""

import marshal

from hypothesis import given
from hypothesis import strategies as st

from dozen.compose.bundle import PYC_HEADER, make_bundle, module_name, read_bundle

names = st.lists(st.text("abcé_", min_size=1, max_size=4), min_size=1, max_size=4).map("/".join)


def pyc(text: str) -> bytes:
    return bytes(PYC_HEADER) + marshal.dumps(compile(text, "x", "exec"))


def test_packages_are_told_from_modules() -> None:
    assert module_name("asyncio/__init__.py") == ("asyncio", True)
    assert module_name("asyncio/events.py") == ("asyncio.events", False)
    assert module_name("stat.py") == ("stat", False)


def test_a_directory_without_init_is_an_empty_package() -> None:
    found = read_bundle(make_bundle({"google/protobuf/__init__.py": pyc("x = 1")}))
    assert found["google"] == (True, b"")
    assert found["google.protobuf"][0]


@given(st.dictionaries(names, st.binary(max_size=50), max_size=8))
def test_every_module_is_found_again(modules: dict[str, bytes]) -> None:
    given_modules = {f"{path}.py": bytes(PYC_HEADER) + code for path, code in modules.items()}
    found = read_bundle(make_bundle(given_modules))
    for path, code in modules.items():
        assert found[path.replace("/", ".")] == (False, code)


def test_names_stand_in_the_order_of_their_bytes() -> None:
    """The importer searches by halves, comparing as strcmp does."""
    found = list(read_bundle(make_bundle({f"{name}.py": pyc("") for name in ("é", "b", "a_", "a", "Z")})))
    assert found == sorted(found, key=str.encode)
