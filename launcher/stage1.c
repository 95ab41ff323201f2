/* /init of the initramfs: finds the root image, makes it the root and becomes /sbin/init. Static C, in memory for a second.
 *
 * Kernel arguments: dozen.root=PATH (default /dev/vda; a device, or an image file inside the initramfs, which erofs can
 * mount without a loop device) and dozen.rootfs=erofs|squashfs (default: what its first bytes say).
 *
 * /modules lists kernel modules, one "PATH [PARAMETERS]" per line, in an order in which they can be loaded. A line that
 * starts with "&" is not needed for the root: a child loads it while the boot goes on. One that starts with "+" neither,
 * and lies in the root image.
 *
 * Any failure is one sentence on the console and in the kernel log, and a restart ten seconds later.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "console.h"

enum {
	ROOT_WAIT_MS = 15000,
	POLL_MS = 5,
	MODULES_MAX = 64,
	MODULE_INIT_COMPRESSED_FILE = 4, /* linux/module.h: the kernel unpacks it */
};

#define NEW_ROOT "/root"

static noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static noreturn void fail(const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	console_give_up(text);
}

static void mount_or_fail(const char *type, const char *target, unsigned long flags, const char *data)
{
	mkdir(target, 0755);
	/* A kernel with CONFIG_DEVTMPFS_MOUNT may have been here before (EBUSY). */
	if (mount(type, target, type, flags, data) != 0 && errno != EBUSY)
		fail("mounting %s on %s: %s", type, target, strerror(errno));
}

/* The last value of a kernel argument, or a default. */
static const char *kernel_argument(const char *name, const char *otherwise)
{
	static char line[4096];
	if (line[0] == '\0') {
		int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
		ssize_t got = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
		line[got < 0 ? 0 : got] = '\0';
		close(fd);
		for (char *at = line; *at != '\0'; at++)
			if (*at == ' ' || *at == '\n')
				*at = '\1'; /* words end here; the buffer stays one string for the next call */
	}
	static char values[2][256];
	static int next;
	const char *found = NULL;
	size_t length = strlen(name);
	for (const char *word = line; word != NULL; word = strchr(word, '\1') ? strchr(word, '\1') + 1 : NULL)
		if (strncmp(word, name, length) == 0 && word[length] == '=')
			found = word + length + 1;
	if (found == NULL)
		return otherwise;
	char *value = values[next++ % 2];
	snprintf(value, sizeof values[0], "%.*s", (int)strcspn(found, "\1"), found);
	return value;
}

/* ---- Kernel modules ---- */

struct module {
	int fd, flags;
	const char *path, *parameters;
};

static void load(const struct module *module)
{
	if (syscall(SYS_finit_module, module->fd, module->parameters, module->flags) != 0 && errno != EEXIST)
		console_report("module %s: %s", module->path, strerror(errno)); /* not fatal: its lack may not matter */
	close(module->fd);
}

static bool open_module(int directory, char *line, struct module *module)
{
	char *space = strchr(line, ' ');
	if (space != NULL)
		*space = '\0';
	const char *end = strrchr(line, '.');
	module->path = line;
	module->parameters = space == NULL ? "" : space + 1;
	module->flags = end != NULL && strcmp(end, ".ko") != 0 ? MODULE_INIT_COMPRESSED_FILE : 0;
	module->fd = openat(directory, line, O_RDONLY | O_CLOEXEC);
	if (module->fd < 0)
		console_report("module %s: %s", line, strerror(errno));
	return module->fd >= 0;
}

/* A child loads what waits. The files are open, so it needs the initramfs no more. PID 1's reaper collects it. */
static void load_beside(const struct module *waiting, size_t count, int niceness)
{
	if (count > 0 && fork() == 0) {
		(void)!nice(niceness);
		for (size_t i = 0; i < count; i++)
			load(&waiting[i]);
		_exit(0);
	}
	for (size_t i = 0; i < count; i++)
		close(waiting[i].fd);
}

static struct module waiting[MODULES_MAX];
static char *in_root[MODULES_MAX];
static size_t in_root_count;

static void load_modules(void)
{
	static char list[16384];
	size_t count = 0;
	int fd = open("/modules", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, list, sizeof list - 1);
	char *rest = list;
	list[got < 0 ? 0 : got] = '\0';
	close(fd);
	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		if (*line == '+') {
			if (in_root_count < MODULES_MAX)
				in_root[in_root_count++] = line + 1;
			continue;
		}
		bool deferred = *line == '&' && count < MODULES_MAX;
		struct module now, *module = deferred ? &waiting[count] : &now;
		line += *line == '&';
		if (*line == '\0' || !open_module(AT_FDCWD, line, module))
			continue;
		if (deferred)
			count++;
		else
			load(module);
	}
	load_beside(waiting, count, 0);
}

/* These are large and take a processor for more than a second under emulation. PID 1 goes first, but not for long: its
 * configuration may lie on a file system that waits for them. */
static void load_modules_of_root(void)
{
	size_t count = 0;
	int root = open(NEW_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < in_root_count; i++)
		count += open_module(root, in_root[i] + strspn(in_root[i], "/"), &waiting[count]);
	close(root);
	load_beside(waiting, count, 5);
}

/* ---- The root image ---- */

static void wait_for(const char *path)
{
	struct stat about;
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	for (int waited = 0; stat(path, &about) != 0; waited += POLL_MS) {
		if (waited >= ROOT_WAIT_MS)
			fail("the root device %s did not appear within %d seconds; is dozen.root= right, and its driver in "
			     "the initramfs?", path, ROOT_WAIT_MS / 1000);
		nanosleep(&pause, NULL);
	}
}

static const char *detect_type(const char *path)
{
	unsigned char head[2048] = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, head, sizeof head, 0) != sizeof head)
		fail("reading %s: %s", path, strerror(errno));
	close(fd);
	/* Little-endian 0xE0F5E1E2 at 1024 (erofs_fs.h); "hsqs" at 0 (squashfs_fs.h). */
	if (memcmp(head + 1024, "\xe2\xe1\xf5\xe0", 4) == 0)
		return "erofs";
	if (memcmp(head, "hsqs", 4) == 0)
		return "squashfs";
	fail("%s holds neither erofs nor squashfs; is dozen.root= right?", path);
}

static void mount_root(void)
{
	const char *path = kernel_argument("dozen.root", "/dev/vda");
	wait_for(path);
	const char *type = kernel_argument("dozen.rootfs", NULL);
	if (type == NULL)
		type = detect_type(path);
	mkdir(NEW_ROOT, 0755);
	if (mount(path, NEW_ROOT, type, MS_RDONLY | MS_NODEV | MS_NOSUID, "") != 0)
		fail("mounting %s (%s): %s", path, type, strerror(errno));
}

/* Frees the memory of the initramfs: everything that is on its own file system. */
static void delete_tree(int directory, dev_t device)
{
	DIR *stream = fdopendir(directory);
	struct dirent *entry;
	struct stat about;
	while (stream != NULL && (entry = readdir(stream)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    fstatat(directory, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0 || about.st_dev != device)
			continue;
		bool folder = S_ISDIR(about.st_mode);
		int inside = folder ? openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) : -1;
		if (inside >= 0)
			delete_tree(inside, device);
		unlinkat(directory, entry->d_name, folder ? AT_REMOVEDIR : 0);
	}
	if (stream != NULL)
		closedir(stream);
}

static void switch_root(void)
{
	static const char *const moved[] = {"/dev", "/proc", "/sys"};
	struct stat old;
	int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof moved / sizeof moved[0]; i++) {
		char target[32];
		snprintf(target, sizeof target, NEW_ROOT "%s", moved[i]);
		if (mount(moved[i], target, NULL, MS_MOVE, NULL) != 0)
			fail("moving %s: %s", moved[i], strerror(errno));
	}
	if (chdir(NEW_ROOT) != 0 || fstat(root, &old) != 0)
		fail("entering the root image: %s", strerror(errno));
	delete_tree(root, old.st_dev);
	if (mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 || chdir("/") != 0)
		fail("switching to the root image: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	static char *const environment[] = {NULL};
	console_set_name("stage 1");
	if (getpid() != 1) {
		console_report("this is for PID 1");
		return 1;
	}
	mount_or_fail("devtmpfs", "/dev", MS_NOSUID, "mode=0755");
	console_fill_stdio();
	mount_or_fail("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_or_fail("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	console_note("looking for the root image");
	load_modules();
	mount_root();
	load_modules_of_root();
	switch_root();
	argv[0] = "/sbin/init";
	argv[argc] = NULL;
	execve("/sbin/init", argv, environment);
	fail("starting /sbin/init: %s", strerror(errno));
}
