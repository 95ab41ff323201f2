"""Stated licences against what copyright files name."""

import pytest

from dozen.compose.licences import check_licence

DEP5 = "Format: http://a.test/\n\nFiles: *\nLicense: GPL-2+ and LGPL-2.1+\n text\n\nFiles: x\nLicense: BSD-3-clause\n"


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("GPL-2.0-or-later", DEP5),
        ("LGPL-2.1-or-later AND BSD-3-Clause", DEP5),
        ("GPL-2.0-or-later WITH Linux-syscall-note", DEP5),
        ("MPL-2.0", "This package was debianized by hand.\nLicense: see below\n"),
    ],
)
def test_what_the_file_names_may_be_stated(expression: str, text: str) -> None:
    assert list(check_licence("pkg", expression, text)) == []


def test_what_it_does_not_name_is_a_problem() -> None:
    (problem,) = check_licence("pkg", "GPL-2.0-or-later AND MIT", DEP5)
    assert problem.startswith(
        "pkg is stated to be MIT, but its copyright file names only bsd-3-clause, gpl-2+, lgpl-2.1+"
    )
