"""What a cluster's machines are told, and how a cluster grows."""

from pathlib import Path

import pytest

from dozen.machinery import yaml
from dozen.machinery.config import load
from dozen.machinery.config.problems import ConfigError
from dozen.machinery.config.secrets import new_secrets
from dozen.provider.layout import EMULATED, Member, Plan, configure, grown, host_name, read_plan, write_plan
from dozen.provider.network import Place

PLACE = Place("c-worker-1", "10.0.2.16", 41000, 41001, 41002)
LEADER, WORKER = Member("c-controlplane-1", "controlplane"), Member("c-worker-1", "worker")
SECRETS = new_secrets()


def names(plan: Plan) -> list[str]:
    return [member.name for member in plan.members]


def test_a_cluster_grows_and_never_shrinks() -> None:
    one = grown(Plan(), "c", 1, 0)
    more = grown(one, "c", 1, 2)
    assert names(one) == ["c-controlplane-1"]
    assert names(more) == ["c-controlplane-1", "c-worker-1", "c-worker-2"]
    assert grown(more, "c", 1, 0) == more
    assert names(grown(more, "c", 2, 2))[3:] == ["c-controlplane-2"]


def test_a_cluster_s_name_becomes_part_of_host_names() -> None:
    assert host_name("My_Cluster") == "my-cluster"


def test_the_plan_outlives_the_command(tmp_path: Path) -> None:
    plan = Plan((LEADER, WORKER), balancer=6000, alone=False, bootstrapped=True)
    write_plan(plan, tmp_path)
    assert read_plan(tmp_path) == plan
    (tmp_path / "cluster.json").write_text("{")
    assert read_plan(tmp_path) is None


@pytest.mark.parametrize(("balancer", "endpoint"), [(0, "https://10.0.2.15:6443"), (6500, "https://10.0.2.2:6500")])
def test_several_control_planes_are_behind_the_balancer(balancer: int, endpoint: str) -> None:
    plan = Plan((LEADER,), balancer=balancer)
    made = yaml.load(configure("c", plan, LEADER, Place("p", "10.0.2.15", 1, 2, 3), SECRETS))
    assert made["cluster"]["controlPlane"]["endpoint"] == endpoint


def test_a_control_plane_can_be_reached_by_the_names_of_this_computer() -> None:
    made = yaml.load(configure("c", Plan((LEADER,)), LEADER, Place("p", "10.0.2.15", 1, 2, 3), SECRETS))
    assert {"127.0.0.1", "localhost"} <= set(made["cluster"]["apiServer"]["certSANs"])
    assert {"127.0.0.1", "10.0.2.15"} <= set(made["machine"]["certSANs"])
    assert made["cluster"]["allowSchedulingOnControlPlanes"] is True


def test_a_worker_has_its_own_address_and_no_authority_s_key() -> None:
    text = configure("c", Plan((LEADER, WORKER), alone=False), WORKER, PLACE, SECRETS)
    made = yaml.load(text)
    assert made["machine"]["type"] == "worker"
    assert made["machine"]["network"] == {
        "hostname": "c-worker-1",
        "interfaces": [
            {
                "interface": "eth0",
                "addresses": ["10.0.2.16/24"],
                "routes": [{"network": "0.0.0.0/0", "gateway": "10.0.2.2"}],
            }
        ],
        "nameservers": ["10.0.2.3"],
    }
    assert made["machine"]["time"] == {"disabled": True}
    assert not made["cluster"]["ca"].get("key")
    assert load(text).machine_type == "worker"


def test_another_version_changes_every_image_that_follows_it() -> None:
    made = yaml.load(configure("c", Plan((LEADER,)), LEADER, PLACE, SECRETS, version="1.35.4"))
    assert made["machine"]["kubelet"]["image"].endswith(":v1.35.4")
    for field in ("apiServer", "controllerManager", "scheduler", "proxy"):
        assert made["cluster"][field]["image"].endswith(":v1.35.4")
    assert "127.0.0.1" in made["cluster"]["apiServer"]["certSANs"]


def test_patches_are_laid_over_in_order_and_the_result_is_checked() -> None:
    patches = ["machine: {sysctls: {a.b: '1'}}", '[{"op": "replace", "path": "/machine/sysctls/a.b", "value": "2"}]']
    made = yaml.load(configure("c", Plan((LEADER,)), LEADER, PLACE, SECRETS, patches=patches))
    assert made["machine"]["sysctls"] == {"a.b": "2"}
    with pytest.raises(ConfigError, match="gadget"):
        configure("c", Plan((LEADER,)), LEADER, PLACE, SECRETS, patches=["machine: {type: gadget}"])


def test_the_profile_of_emulated_machines_is_a_patch_that_fits_a_control_plane() -> None:
    made = yaml.load(configure("c", Plan((LEADER,)), LEADER, PLACE, SECRETS, patches=[EMULATED]))
    assert made["cluster"]["etcd"]["extraArgs"]["election-timeout"] == "10000"
    assert made["cluster"]["scheduler"]["extraArgs"]["leader-elect-renew-deadline"] == "100s"
