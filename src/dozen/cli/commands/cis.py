"""A node held against the CIS Kubernetes Benchmark."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from dozen.cli.output import output_option, print_data, print_table
from dozen.cli.session import Session, command

if TYPE_CHECKING:
    from dozen.client.machine import Node
    from dozen.machinery.kubernetes.cis import Finding

FAILED = 1


@command("cis")
@click.option("--failed", is_flag=True, help="Only the rules that do not hold.")
@output_option
def cis(session: Session, failed: bool, output: str) -> None:
    """Check nodes against the CIS Kubernetes Benchmark, with the evidence for each rule.

    What the rules look at is read from the running node: command lines, configuration files, modes of files, sockets.
    Rules that a person has to judge are MANUAL, with what to look at. The command fails when a rule does not hold.
    """
    from dozen.client.cis import gather
    from dozen.machinery.kubernetes.cis import Outcome, audit

    found: list[tuple[str, list[Finding]]] = []

    async def check(node: Node) -> list[Finding]:
        findings = list(audit(await gather(node)))
        return [each for each in findings if each.outcome is Outcome.FAIL] if failed else findings

    session.each(check, found.extend)
    if output == "table":
        rows = [(node, each.id, str(each.outcome), each.title, each.evidence) for node, all in found for each in all]
        print_table(("RULE", "RESULT", "WHAT", "EVIDENCE"), rows)
    else:
        print_data(output, [_plain(node, all) for node, all in found])
    if any(each.outcome is Outcome.FAIL for _, all in found for each in all):
        sys.exit(FAILED)


def _plain(node: str, findings: list[Finding]) -> dict[str, Any]:
    rules = [
        {"id": each.id, "result": str(each.outcome), "title": each.title, "evidence": each.evidence}
        for each in findings
    ]
    return {"node": node, "rules": rules}
