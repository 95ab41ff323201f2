"""Reading wheels."""

import zipfile
from pathlib import Path

import pytest

from dozen.compose.wheels import place, read_licence, read_wheel

METADATA = "Metadata-Version: 2.4\nName: My_Package\nVersion: 1.2\n{}\n\nLong text: with a colon.\n"


@pytest.mark.parametrize(
    ("header", "licence"),
    [
        ("License-Expression: Apache-2.0 OR MIT", "Apache-2.0 OR MIT"),
        ("Classifier: License :: OSI Approved :: BSD License", "BSD-3-Clause"),
        ("License: as you like", ""),
    ],
)
def test_a_wheel_is_read(tmp_path: Path, header: str, licence: str) -> None:
    path = tmp_path / "my_package-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("my_package/__init__.py", "x = 1\n")
        archive.writestr("my_package-1.2.data/platlib/my_package/more.py", "y = 1\n")
        archive.writestr("my_package-1.2.data/scripts/tool", "#!python\n")
        archive.writestr("my_package-1.2.dist-info/METADATA", METADATA.format(header))
    wheel = read_wheel(path)
    assert (wheel.name, wheel.version, wheel.licence) == ("my-package", "1.2", licence)
    files = [file.path for file in wheel.files]
    assert files == ["my_package/more.py", "my_package-1.2.dist-info/METADATA", "my_package/__init__.py"]


def test_where_files_go() -> None:
    assert place("a/b.py") == "a/b.py"
    assert place("a-1.data/headers/a.h") == ""


def test_the_expression_wins_over_classifiers() -> None:
    headers = [("Classifier", "License :: OSI Approved :: MIT License"), ("License-Expression", "Apache-2.0")]
    assert read_licence(headers) == "Apache-2.0"
