"""The only room for syscalls, netlink, mounts, block devices, cgroups and kernel files; holds no policy."""
