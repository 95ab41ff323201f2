"""What Kubernetes is told where the configuration says nothing, and what a generated configuration says.

Pod Security: every namespace is held to "baseline" and warned and audited against "restricted", but for the one that
the node's own pods are in. Audit: each request is recorded with who, what and when, never with contents, which would
put secrets into a log.
"""

from __future__ import annotations

from typing import Any

POD_SECURITY: dict[str, Any] = {
    "apiVersion": "pod-security.admission.config.k8s.io/v1",
    "kind": "PodSecurityConfiguration",
    "defaults": {
        "enforce": "baseline",
        "enforce-version": "latest",
        "audit": "restricted",
        "audit-version": "latest",
        "warn": "restricted",
        "warn-version": "latest",
    },
    "exemptions": {"usernames": [], "runtimeClasses": [], "namespaces": ["kube-system"]},
}

AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "rules": [{"level": "Metadata"}],
}
