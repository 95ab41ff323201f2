"""The kernel parameters of a Kubernetes node, with the reason for each.

Three sources: what the Kernel Self Protection Project recommends for any server (its "Recommended settings"), what
kubelet demands when it may not change the host itself (``--protect-kernel-defaults``, pkg/kubelet/cm), and what pods'
networks need. The machine configuration may change any of them (``machine.sysctls``). A parameter that a kernel does
not have is no error: many depend on how it was built.
"""

from __future__ import annotations

from typing import NamedTuple


class Default(NamedTuple):
    """A parameter, its value, and why."""

    name: str
    value: str
    reason: str


DEFAULTS = (
    # -- Protecting the kernel from programs that got in
    Default("kernel.kptr_restrict", "2", "kernel addresses in /proc help an attacker aim"),
    Default("kernel.dmesg_restrict", "1", "the kernel's log holds addresses and secrets; it is read over the API"),
    Default("kernel.perf_event_paranoid", "3", "profiling the kernel has been a way into it; only root may"),
    Default("kernel.yama.ptrace_scope", "2", "a process that was taken over must not read its neighbours' memory"),
    Default("kernel.unprivileged_bpf_disabled", "1", "the BPF verifier has had holes; network plugins are privileged"),
    Default("net.core.bpf_jit_harden", "2", "constants in compiled BPF must not serve as an attacker's code"),
    Default("kernel.kexec_load_disabled", "1", "nobody but the firmware's boot entry may choose the next kernel"),
    Default("kernel.sysrq", "0", "a key on the console must not kill processes or reboot"),
    Default("kernel.io_uring_disabled", "1", "unprivileged io_uring escapes system call filters; root may use it"),
    Default("kernel.randomize_va_space", "2", "stack, heap and libraries go to random places"),
    Default("vm.mmap_min_addr", "65536", "a null pointer in the kernel must not lead into a program's memory"),
    Default("vm.unprivileged_userfaultfd", "0", "pausing the kernel in a page fault makes its races easy to win"),
    Default("dev.tty.ldisc_autoload", "0", "opening a terminal must not load old, rarely looked at drivers"),
    Default("dev.tty.legacy_tiocsti", "0", "a program must not type into the terminal it was started from"),
    Default("fs.suid_dumpable", "0", "programs with raised privileges leave no core file to read"),
    Default("fs.protected_hardlinks", "1", "no links to files that one could not open"),
    Default("fs.protected_symlinks", "1", "no following of others' links in shared directories"),
    Default("fs.protected_fifos", "2", "no writing into a pipe that somebody else put in the place of a file"),
    Default("fs.protected_regular", "2", "no writing into a file that somebody else put in the place of ours"),
    # -- What kubelet requires of its host
    Default("vm.overcommit_memory", "1", "memory limits are the pods' business; kubelet refuses other values"),
    Default("vm.panic_on_oom", "0", "out of memory ends a process, not the node"),
    Default("kernel.panic", "10", "a node that panicked comes back by itself, after the text could be read"),
    Default("kernel.panic_on_oops", "1", "a kernel that has gone wrong must not go on working with data"),
    Default("kernel.keys.root_maxkeys", "1000000", "each container has a keyring; the default suffices for a few"),
    Default("kernel.keys.root_maxbytes", "25000000", "room for those keys"),
    # -- What pods need of the network
    Default("net.ipv4.ip_forward", "1", "packets pass between pods and the world through this host"),
    Default("net.ipv6.conf.all.forwarding", "1", "the same for IPv6"),
    Default("net.ipv6.conf.default.forwarding", "1", "and for links that come later"),
    Default("net.ipv6.conf.default.accept_ra", "2", "a host that forwards would otherwise not hear its own routers"),
    Default("net.ipv4.conf.all.promote_secondaries", "1", "removing one address must not remove its neighbours"),
    Default("net.ipv4.conf.default.promote_secondaries", "1", "the same on links that come later"),
    Default("net.ipv4.conf.all.rp_filter", "0", "pods' packets may take another way back; plugins filter themselves"),
    Default("net.ipv4.conf.default.rp_filter", "2", "elsewhere a source must at least be reachable somehow"),
    Default("net.bridge.bridge-nf-call-iptables", "1", "service addresses work between pods of one bridge"),
    Default("net.bridge.bridge-nf-call-ip6tables", "1", "the same for IPv6"),
    # -- Packets that nobody good sends
    Default("net.ipv4.conf.all.accept_redirects", "0", "a neighbour must not change our routes"),
    Default("net.ipv4.conf.default.accept_redirects", "0", "the same on links that come later"),
    Default("net.ipv6.conf.all.accept_redirects", "0", "the same for IPv6"),
    Default("net.ipv6.conf.default.accept_redirects", "0", "the same for IPv6 on links that come later"),
    Default("net.ipv4.conf.all.send_redirects", "0", "only routers that are alone on a link should redirect"),
    Default("net.ipv4.conf.all.accept_source_route", "0", "a sender must not choose its packets' way"),
    Default("net.ipv4.icmp_echo_ignore_broadcasts", "1", "no part in flooding others with answers"),
    Default("net.ipv4.icmp_ignore_bogus_error_responses", "1", "broken routers must not fill the log"),
    Default("net.ipv4.tcp_syncookies", "1", "a flood of half-open connections must not keep others out"),
    Default("net.ipv4.tcp_rfc1337", "1", "a late packet must not cut the next connection"),
    # -- Sizes for many pods
    Default("fs.inotify.max_user_watches", "524288", "programs in all pods share this number"),
    Default("fs.inotify.max_user_instances", "8192", "the same; the default of 128 is used up by a few pods"),
    Default("vm.max_map_count", "262144", "databases and search engines refuse to start with less"),
    Default("kernel.pid_max", "4194304", "process numbers come round late, so that none is taken for another"),
    Default("net.core.somaxconn", "4096", "listeners under load queue more connections than 128"),
    Default("net.ipv4.neigh.default.gc_thresh1", "1024", "each pod is a neighbour: forget none below this many"),
    Default("net.ipv4.neigh.default.gc_thresh2", "4096", "and forget in no hurry below this many"),
    Default("net.ipv4.neigh.default.gc_thresh3", "8192", "the most neighbours that are remembered"),
    Default("net.ipv6.neigh.default.gc_thresh3", "8192", "the same for IPv6"),
)
