"""Which of upstream's tests are chosen, and what their report says."""

import re
from pathlib import Path

from dozen.testing.conformance import SOME, Result, command, focus, read_report

REPORT = """<testsuites><testsuite>
<testcase name="[It] [sig-node] Lease lease API should be available [Conformance]" status="passed"></testcase>
<testcase name="[It] [sig-storage] broken [Conformance]" status="failed">
<failure message="timed out&#10;more">x</failure></testcase>
<testcase name="[It] [sig-node] other" status="skipped"><skipped message="skipped"></skipped></testcase>
<testcase name="[SynchronizedBeforeSuite]" status="passed"></testcase>
</testsuite></testsuites>"""


def test_the_report_s_tests_that_ran_are_told_with_their_failures() -> None:
    assert read_report(REPORT) == [
        Result("[sig-node] Lease lease API should be available [Conformance]"),
        Result("[sig-storage] broken [Conformance]", "timed out"),
    ]


def test_at_least_ten_tests_decide_and_brackets_are_taken_as_they_are() -> None:
    assert len(set(SOME)) >= 10
    assert re.search(focus(SOME), "[sig-node] Lease lease API should be available [Conformance]")
    assert not re.search(focus(SOME), "[sig-node] Something else [Conformance]")
    assert re.search(focus(()), "[sig-node] Something else [Conformance]")


def test_the_program_is_told_where_the_cluster_is() -> None:
    words = command(Path("/e2e"), Path("/k"), Path("/r"), SOME[:1])
    assert words[:2] == ["/e2e", "--kubeconfig=/k"]
    assert f"--ginkgo.focus={re.escape(SOME[0])}" in words
