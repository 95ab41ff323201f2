#define _GNU_SOURCE
#include "wrapperd.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "console.h"

enum { CANNOT_PREPARE = 125, CANNOT_START = 126, NOT_FOUND = 127 };

#define CGROUP_ROOT "/sys/fs/cgroup"
#define ALL_CAPABILITIES UINT64_MAX

/* By number, from linux/capability.h. */
static const char *const CAPABILITIES[] = {
	"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
	"linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
	"sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
	"sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
	"mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
	"checkpoint_restore",
};
enum { CAPABILITY_COUNT = sizeof CAPABILITIES / sizeof CAPABILITIES[0] };

struct wish {
	const char *cgroup;
	const char *argv0;
	long uid, gid, oom; /* uid and gid: -1 keeps; oom: LONG_MIN keeps */
	uint64_t capabilities;
	bool no_new_privileges;
	char **environment;
	char **command;
};

static bool fail(const char *what, const char *value)
{
	console_report("%s %s: %s", what, value, strerror(errno));
	return false;
}

static bool parse_number(const char *text, long low, long high, long *number)
{
	char *end;
	errno = 0;
	*number = strtol(text, &end, 10);
	if (errno == 0 && *text != '\0' && *end == '\0' && *number >= low && *number <= high)
		return true;
	console_report("%s is not a number from %ld to %ld", text, low, high);
	return false;
}

static bool parse_capabilities(const char *text, uint64_t *set)
{
	*set = strcmp(text, "all") == 0 ? ALL_CAPABILITIES : 0;
	if (*set != 0 || strcmp(text, "none") == 0)
		return true;
	while (*text != '\0') {
		size_t length = strcspn(text, ",");
		const char *name = strncasecmp(text, "cap_", 4) == 0 ? text + 4 : text;
		size_t bare = length - (size_t)(name - text);
		int number = 0;
		while (number < CAPABILITY_COUNT &&
		       (strlen(CAPABILITIES[number]) != bare || strncasecmp(CAPABILITIES[number], name, bare) != 0))
			number++;
		if (number == CAPABILITY_COUNT) {
			console_report("%.*s is not a capability", (int)length, text);
			return false;
		}
		*set |= UINT64_C(1) << number;
		text += length + (text[length] == ',');
	}
	return true;
}

static bool parse_option(struct wish *wish, const char *option, char *value, size_t *variables)
{
	if (strcmp(option, "--cgroup") == 0)
		wish->cgroup = value;
	else if (strcmp(option, "--argv0") == 0)
		wish->argv0 = value;
	else if (strcmp(option, "--uid") == 0)
		return parse_number(value, 0, INT_MAX, &wish->uid);
	else if (strcmp(option, "--gid") == 0)
		return parse_number(value, 0, INT_MAX, &wish->gid);
	else if (strcmp(option, "--oom") == 0)
		return parse_number(value, -1000, 1000, &wish->oom);
	else if (strcmp(option, "--caps") == 0)
		return parse_capabilities(value, &wish->capabilities);
	else if (strcmp(option, "--env") == 0 && strchr(value, '=') != NULL)
		wish->environment[(*variables)++] = value;
	else {
		console_report("%s %s is not understood", option, value);
		return false;
	}
	return true;
}

static bool parse_arguments(int argc, char **argv, struct wish *wish)
{
	size_t variables = 0;
	int i = 1;
	wish->environment = calloc((size_t)argc + 1, sizeof *wish->environment);
	if (wish->environment == NULL)
		return fail("memory for", "the environment");
	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--no-new-privs") == 0) {
			wish->no_new_privileges = true;
		} else if (i + 1 >= argc || argv[i][0] != '-') {
			console_report("%s is not understood, or lacks its value", argv[i]);
			return false;
		} else {
			if (!parse_option(wish, argv[i], argv[i + 1], &variables))
				return false;
			i++;
		}
	}
	if (i + 1 >= argc || argv[i + 1][0] != '/') {
		console_report("the program's full path is missing after --");
		return false;
	}
	wish->command = argv + i + 1;
	return true;
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int error = errno;
	close(fd);
	errno = error;
	return written;
}

static bool make_and_join_cgroup(const char *name)
{
	char path[PATH_MAX];
	size_t root = strlen(CGROUP_ROOT "/");
	if (*name == '/' || strstr(name, "..") != NULL ||
	    (size_t)snprintf(path, sizeof path, CGROUP_ROOT "/%s", name) >= sizeof path - sizeof "/cgroup.procs") {
		errno = EINVAL;
		return false;
	}
	for (char *at = path + root; at != NULL; at = strchr(at + 1, '/')) {
		/* Makes CGROUP_ROOT/a, then …/a/b: cut the path at each slash behind the root in turn. */
		char *slash = strchr(at + 1, '/');
		if (slash != NULL)
			*slash = '\0';
		bool made = mkdir(path, 0755) == 0 || errno == EEXIST;
		if (slash != NULL)
			*slash = '/';
		if (!made)
			return false;
	}
	strcat(path, "/cgroup.procs");
	return write_text(path, "0");
}

static bool join_cgroup(const char *name)
{
	bool optional = *name == '?';
	if (make_and_join_cgroup(name + optional))
		return true;
	fail(optional ? "going on without cgroup" : "cgroup", name + optional);
	return optional;
}

static bool set_oom_score(long score)
{
	const char *path = "/proc/self/oom_score_adj";
	char wanted[16], present[16] = "";
	int length = snprintf(wanted, sizeof wanted, "%ld\n", score);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, present, sizeof present - 1) < 0)
			present[0] = '\0';
		close(fd);
	}
	/* Even writing what is there already can be forbidden. */
	return strncmp(present, wanted, (size_t)length) == 0 || write_text(path, wanted) || fail("OOM score", wanted);
}

static bool limit_bounding_set(uint64_t keep)
{
	for (int number = 0; prctl(PR_CAPBSET_READ, number) >= 0; number++) {
		bool kept = number < 64 && (keep >> number & 1) != 0;
		if (!kept && prctl(PR_CAPBSET_DROP, number) != 0)
			return fail("bounding set, capability", number < CAPABILITY_COUNT ? CAPABILITIES[number] : "unknown");
	}
	return true;
}

static bool set_capabilities(uint64_t set)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
	struct __user_cap_data_struct data[2], present[2];
	if (syscall(SYS_capget, &header, present) != 0)
		return fail("reading", "capabilities");
	for (int i = 0; i < 2; i++) {
		uint32_t half = (uint32_t)(set >> (32 * i)) & present[i].permitted;
		data[i] = (struct __user_cap_data_struct){.effective = half, .permitted = half, .inheritable = half};
	}
	if (syscall(SYS_capset, &header, data) != 0)
		return fail("setting", "capabilities");
	return true;
}

static bool make_ambient(uint64_t set)
{
	for (int number = 0; number < CAPABILITY_COUNT; number++) {
		if ((set >> number & 1) != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0)
			return fail("ambient capability", CAPABILITIES[number]);
	}
	return true;
}

static bool change_identity(const struct wish *wish)
{
	if ((wish->uid >= 0 || wish->gid >= 0) && setgroups(0, NULL) != 0)
		return fail("dropping", "groups");
	if (wish->gid >= 0 && setresgid((gid_t)wish->gid, (gid_t)wish->gid, (gid_t)wish->gid) != 0)
		return fail("setting", "gid");
	if (wish->uid >= 0 && setresuid((uid_t)wish->uid, (uid_t)wish->uid, (uid_t)wish->uid) != 0)
		return fail("setting", "uid");
	return true;
}

/* Capabilities go in this order: bounding set while CAP_SETPCAP is there, identity while CAP_SETUID is, the rest last. */
static bool drop_privileges(const struct wish *wish)
{
	bool limited = wish->capabilities != ALL_CAPABILITIES;
	bool keeps = limited && wish->uid > 0;
	if (limited && !limit_bounding_set(wish->capabilities))
		return false;
	if (keeps && prctl(PR_SET_KEEPCAPS, 1) != 0)
		return fail("keeping", "capabilities");
	if (!change_identity(wish))
		return false;
	if (limited && !set_capabilities(wish->capabilities))
		return false;
	if (keeps && !make_ambient(wish->capabilities))
		return false;
	if (wish->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return fail("setting", "no_new_privs");
	return true;
}

static void reset_signals(void)
{
	sigset_t none;
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL); /* EINVAL for those that cannot be set, which need it least */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int wrapperd_main(int argc, char **argv)
{
	struct wish wish = {.uid = -1, .gid = -1, .oom = LONG_MIN, .capabilities = ALL_CAPABILITIES};
	console_set_name("wrapperd");
	if (!parse_arguments(argc, argv, &wish))
		return CANNOT_PREPARE;
	if ((wish.cgroup != NULL && !join_cgroup(wish.cgroup)) || (wish.oom != LONG_MIN && !set_oom_score(wish.oom)) ||
	    !drop_privileges(&wish))
		return CANNOT_PREPARE;
	reset_signals();
	/* Closed by exec, not now: an error below still needs stderr, which the range leaves out, but so may its lookup. */
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	const char *program = wish.command[0];
	if (wish.argv0 != NULL)
		wish.command[0] = (char *)wish.argv0;
	execve(program, wish.command, wish.environment);
	int status = errno == ENOENT ? NOT_FOUND : CANNOT_START;
	fail("starting", program);
	return status;
}
