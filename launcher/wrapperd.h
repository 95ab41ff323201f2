/* wrapperd: confines itself as its arguments say, then becomes a program. Handled before Python starts (0.05 s, not 0.3).
 *
 *   wrapperd [--cgroup NAME] [--uid N] [--gid N] [--oom N] [--caps all|none|NAME,NAME…] [--no-new-privs]
 *            [--env NAME=VALUE]… [--argv0 NAME] -- PROGRAM [ARGUMENT…]
 *
 * --cgroup  relative to /sys/fs/cgroup, made when missing; "?NAME" goes on without one where cgroups cannot be written
 * --caps    what stays in the bounding set (default all); for a uid other than 0 the named ones are also made ambient
 * The program starts with exactly the variables given, no supplementary groups when a uid or gid is set, all signals at
 * their defaults and none blocked, and none of our descriptors above 2.
 *
 * Ends with 125 when it cannot do what was asked, 126 when the program cannot be started, 127 when there is none.
 */
#ifndef DOZEN_WRAPPERD_H
#define DOZEN_WRAPPERD_H

int wrapperd_main(int argc, char **argv);

#endif
