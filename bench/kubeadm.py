"""Builds the cluster that ours is compared with: kubeadm's, on the Debian system of `bench.debian`.

To that system come kubeadm, the kubelet and kubectl, network plug-ins, and a containerd folder that holds the same
images as our node's image disk, as containerd would keep them after importing. The programs are ours byte for byte;
kubeadm is built from the same module. What people are told to set for Kubernetes (forwarding, two kernel modules, the
cgroup driver) is set. Units of ours run `kubeadm init` and apply the pod network when the machine boots, and tell the
serial console when they do and what memory is used. The first boot is what is measured.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import onenode
from bench.debian import DebianSystem, run, write
from dozen.compose import packages, toolroot
from dozen.compose.archives import write_tar
from dozen.compose.components import PROGRAMS, build_programs, obtain
from dozen.compose.console import Console
from dozen.compose.container_images import PLUGINS
from dozen.compose.imagecache import build_images, cache_key
from dozen.compose.imagestore import make_store
from dozen.machinery import yaml
from dozen.machinery.config import secrets as cluster_secrets
from dozen.machinery.config.secrets import Secrets, new_secrets
from dozen.machinery.imagecache import CONTAINERD
from dozen.machinery.kubernetes import versions
from dozen.provider.network import GATEWAY, PREFIX, RESOLVER
from dozen.provider.qemu import write_private

NODE = "debian"
MEMORY_EVERY = 10
INIT_UNIT = "bench-kubeadm.service"

# The address is fixed as our node's is. Only what is no bridge and no pair of pods' is meant (Kind): to networkd these
# are Ethernet too, and with the machine's address on them pods reach nobody.
NETWORK = f"""
    [Match]
    Type=ether
    Kind=!*
    [Network]
    Address={onenode.ADDRESS}/{PREFIX}
    Gateway={GATEWAY}
"""
# Ports below 1024 are free within pods, as on our node and from containerd 2 on: our CoreDNS has no file capability.
CONTAINERD_CONFIG = f"""
    version = 2
    [plugins."io.containerd.grpc.v1.cri"]
      sandbox_image = "{versions.PAUSE_IMAGE}"
      enable_unprivileged_ports = true
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/opt/cni/bin"
      conf_dir = "/etc/cni/net.d"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
    [plugins."io.containerd.internal.v1.opt"]
      path = "/var/lib/containerd/opt"
"""
# It starts when kubeadm has configured it instead of failing until then.
KUBELET = """
    [Unit]
    Description=The kubelet as kubeadm configures it
    Wants=network-online.target
    After=network-online.target containerd.service
    ConditionPathExists=/var/lib/kubelet/config.yaml
    [Service]
    EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
    ExecStart=/usr/bin/kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
        --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS
    Restart=always
    RestartSec=10
    [Install]
    WantedBy=multi-user.target
"""
INIT = """
    [Unit]
    Description=Make the cluster when the machine boots for the first time
    Wants=network-online.target
    After=network-online.target containerd.service
    Requires=containerd.service
    ConditionPathExists=!/etc/kubernetes/admin.conf
    [Service]
    Type=exec
    Environment=HOME=/root
    ExecStart=/usr/local/libexec/bench-kubeadm
    [Install]
    WantedBy=multi-user.target
"""
# Each request of kubeadm has ten seconds, and no configuration changes that. When an emulated machine was slower, what
# was left is done by a second run, and the page says so.
INIT_SCRIPT = """
    #!/bin/sh
    say() { echo "BENCH $*" >/dev/ttyS0; }
    say init
    set -- init --config /etc/kubernetes/kubeadm.yaml
    tries=0
    until kubeadm "$@" >>/var/log/kubeadm.log 2>&1; do
        tries=$((tries + 1))
        if ! [ -e /etc/kubernetes/admin.conf ] || [ $tries -gt 5 ]; then
            tail -n 30 /var/log/kubeadm.log >/dev/ttyS0
            say failed
            exit 1
        fi
        say again
        set -- "$@" --skip-phases=preflight,certs,kubeconfig,etcd,control-plane,kubelet-start
    done
    say initialized
    export KUBECONFIG=/etc/kubernetes/admin.conf
    until kubectl apply --server-side -f /etc/kubernetes/flannel.yaml >>/var/log/kubeadm.log 2>&1; do sleep 1; done
    say applied
"""
# In place of the other benchmark's. Nobody knows in here when the cluster is ready, so memory is told all the time.
SCRIPT = f"""
    #!/bin/sh
    say() {{ echo "BENCH $*" >/dev/ttyS0; }}
    say ready
    while sleep {MEMORY_EVERY}; do
        while read -r name value unit; do
            case $name in
            MemTotal:|MemFree:|MemAvailable:|Buffers:|Cached:|SReclaimable:) say memory $name $value ;;
            esac
        done </proc/meminfo
    done
"""
# A busy emulated machine needs more than systemd's 90 seconds for some units; what depends on them would never start.
PATIENCE = """
    [Manager]
    DefaultTimeoutStartSec=infinity
    DefaultDeviceTimeoutSec=30min
"""
TEXTS = {
    "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {NODE}",
    "etc/resolv.conf": f"nameserver {RESOLVER}",
    "etc/systemd/network/10-dhcp.network": NETWORK,
    "etc/containerd/config.toml": CONTAINERD_CONFIG,
    "etc/modules-load.d/kubernetes.conf": "overlay\nbr_netfilter",
    "etc/sysctl.d/kubernetes.conf": "net.ipv4.ip_forward = 1\nnet.bridge.bridge-nf-call-iptables = 1",
    "etc/systemd/system.conf.d/patience.conf": PATIENCE,
    "etc/systemd/system/kubelet.service": KUBELET,
    f"etc/systemd/system/{INIT_UNIT}": INIT,
    "etc/kubernetes/kubeadm.yaml": onenode.kubeadm_config(NODE),
}
SCRIPTS = {"usr/local/libexec/bench": SCRIPT, "usr/local/libexec/bench-kubeadm": INIT_SCRIPT}
# Debian looks for packages at times of its own, which would disturb some boots and others not.
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer")


@dataclass(frozen=True, slots=True)
class KubeadmSystem:
    """The disk, and the secrets whose authorities are on it."""

    disk: Path
    secrets: Secrets


def build(cache: Path, base: DebianSystem, say: Callable[[str], None]) -> KubeadmSystem:
    """The system, built now or found in the cache. Needs root and e2fsprogs, and ``base`` as `bench.debian` left it."""
    console = Console()
    folder = cache / "bench" / f"kubeadm-{key_of(base)}"
    disk, kept = folder / "disk.raw", folder / "secrets.yaml"
    if disk.exists():
        return KubeadmSystem(disk, cluster_secrets.parse(kept.read_text(), str(kept)))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    secrets = new_secrets()
    write_private(kept, cluster_secrets.render(secrets).encode())
    with tempfile.TemporaryDirectory(prefix="root-", dir=folder) as scratch:
        root = Path(scratch) / "root"
        say("Kubernetes for the Debian system: programs and images")
        run("cp", "-a", str(Path(base.disk).parent / "root"), str(root))
        add_programs(root, console)
        add_images(root, console)
        configure(root, secrets)
        say("writing its disk")
        draft = folder / "disk.part"
        run("mkfs.ext4", "-q", "-F", "-L", "debian", "-d", str(root), str(draft), f"{onenode.DISK_MIB}M")
        draft.rename(disk)
    return KubeadmSystem(disk, secrets)


def key_of(base: DebianSystem) -> str:
    """Changes with all that the system is made from."""
    images = cache_key(packages.project_root(), packages.project_lock())
    network = yaml.dump_documents(onenode.pod_network(new_secrets()))
    parts = (base.disk, images, str(obtain("kubeadm")), network, TEXTS, SCRIPTS, MASKED, onenode.DISK_MIB)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def add_programs(root: Path, console: Console) -> None:
    """What kubeadm's users install from packages: kubeadm, kubelet, kubectl, network plug-ins."""
    programs = build_programs(PROGRAMS, console)
    bin, plugins = root / "usr/bin", root / "opt/cni/bin"
    plugins.mkdir(parents=True)
    copied: Mapping[Path, Path] = {
        bin / "kubeadm": obtain("kubeadm", console),
        bin / "kube": programs["kube"],
        **{plugins / name: programs[f"cni/{name}"] for name in PLUGINS},
    }
    for target, source in copied.items():
        shutil.copyfile(source, target)
        target.chmod(0o755)
    for name in ("kubelet", "kubectl"):
        (bin / name).symlink_to("kube")


def add_images(root: Path, console: Console) -> None:
    """Our image disk's content where Debian's containerd keeps its own."""
    lock = packages.obtain(packages.project_lock(), "containers", console)
    images = build_images(packages.project_root(), lock, toolroot.ensure(lock, console), console)
    archive = root.parent / "images.tar"
    write_tar(make_store(images, lock.epoch), lock.epoch, archive)
    run("tar", "--extract", "--file", str(archive), "--directory", str(root / "var/lib"), CONTAINERD.lstrip("/"))
    archive.unlink()


def configure(root: Path, secrets: Secrets) -> None:
    for path, text in {**TEXTS, **SCRIPTS}.items():
        write(root / path, text)
    for path in SCRIPTS:
        (root / path).chmod(0o755)
    write(root / "etc/kubernetes/flannel.yaml", yaml.dump_documents(onenode.pod_network(secrets)))
    for name, text in onenode.authority_files(secrets).items():
        file = root / "etc/kubernetes/pki" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private(file, text.encode())
    run("chroot", str(root), "systemctl", "enable", "kubelet", INIT_UNIT)
    run("chroot", str(root), "systemctl", "mask", *MASKED)
