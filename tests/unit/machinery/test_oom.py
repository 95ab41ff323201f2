"""When memory is short: whether somebody has to end, and who."""

from __future__ import annotations

import pytest

from dozen.machinery import cel, oom
from dozen.machinery.config import expressions
from dozen.machinery.oom import Group, Victim

CALM = """some avg10=0.50 avg60=0.10 avg300=0.00 total=1234
full avg10=0.25 avg60=0.05 avg300=0.00 total=900
"""
TRIGGER = cel.parse(expressions.DEFAULT_TRIGGER, expressions.TRIGGER)
RANKING = cel.parse(expressions.DEFAULT_RANKING, expressions.RANKING)
EFFORTLESS, EAGER, SURE = "kubepods/besteffort/podA", "kubepods/burstable/podB", "kubepods/podC"


def test_the_kernel_s_words_about_pressure() -> None:
    found = oom.parse_pressure(CALM)
    assert (found["memory_some_avg10"], found["memory_full_total"]) == (0.5, 900.0)
    assert set(found) == set(expressions.PRESSURE)


@pytest.mark.parametrize("text", ["", "some avg10=1", "some avg10=x avg60=0 avg300=0 total=0", "\n\n"])
def test_another_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"another form|could not convert|not enough values"):
        oom.parse_pressure(text)


@pytest.mark.parametrize(
    ("full", "since", "enough"), [("0.25", 100.0, False), ("12.5", 100.0, True), ("12.5", 0.4, False)]
)
def test_when_it_is_enough(full: str, since: float, enough: bool) -> None:
    pressure = oom.parse_pressure(CALM.replace("full avg10=0.25", f"full avg10={full}"))
    assert oom.is_enough(TRIGGER, pressure, since) is enough


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (EFFORTLESS, "Besteffort"),
        (EAGER, "Burstable"),
        (SURE, "Guaranteed"),
        ("podruntime/other", "Podruntime"),
        ("system/udevd", "System"),
        ("system/runtime", ""),
        ("system/apid", ""),
        ("podruntime/kubelet", ""),
        ("podruntime/etcd", ""),
        ("kubepods/besteffort", ""),
        ("kubepods/besteffort/podA/container", ""),
        ("kubepods/podC/container", ""),
        ("kubepods", ""),
        ("init", ""),
        ("init/a", ""),
    ],
)
def test_classes(path: str, found: str) -> None:
    assert oom.class_of(path) == found


@pytest.mark.parametrize(
    ("groups", "victim"),
    [
        ([Group(EFFORTLESS, None, 10), Group(EAGER, None, 1000)], Victim(EFFORTLESS, 10.0)),
        ([Group(EAGER, None, 1000), Group("kubepods/burstable/podD", None, 3000)],
         Victim("kubepods/burstable/podD", 1500.0)),
        ([Group(EFFORTLESS, 500, 400), Group(EAGER, None, 100)], Victim(EAGER, 50.0)),
        ([Group(SURE, None, 1000), Group("system/udevd", None, 50), Group("system/runtime", None, 10**9)], None),
        ([Group(EFFORTLESS)], None),
        ([], None),
    ],
)  # fmt: skip
def test_who_has_to_end(groups: list[Group], victim: Victim | None) -> None:
    assert oom.choose(RANKING, groups, strict=True) == victim


def test_without_strictness_the_highest_score_decides() -> None:
    groups = [Group(EFFORTLESS, None, 10), Group(EAGER, None, 1000)]
    assert oom.choose(RANKING, groups, strict=False) == Victim(EAGER, 500.0)


def test_a_ranking_may_look_at_the_path_and_has_to_give_a_number() -> None:
    ranking = cel.parse('path.contains("podB") ? 2.0 : 1.0', expressions.RANKING)
    assert oom.choose(ranking, [Group(EFFORTLESS), Group(EAGER)], strict=False) == Victim(EAGER, 2.0)
    for text in ("0.0 / 0.0", "true", "memory_max.value()"):
        with pytest.raises(cel.CelError):
            oom.choose(cel.parse(text, expressions.RANKING), [Group(EAGER)], strict=True)
