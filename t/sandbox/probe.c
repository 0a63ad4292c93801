/*
 * What a worker could do if it were taken over: run in its place, under the
 * same unit, this tries what the unit says it cannot do, and prints a line for
 * each: what, and how that ended ("done", or the name of the error).
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void
say(const char *what, long outcome)
{
	printf(
	    "%s\t%s\n", what, outcome >= 0 ? "done" : strerrorname_np(errno));
	(void)fflush(stdout);
}

static void
try_file(const char *path, int flags)
{
	char what[128];
	int fd = open(path, flags, 0600);

	(void)snprintf(what, sizeof(what), "%s %s",
	    flags & O_CREAT ? "make" : "read", path);
	say(what, fd);
	if (fd >= 0)
		(void)close(fd);
}

static void
try_socket(const char *name, int family, int type)
{
	int fd = socket(family, type, 0);

	say(name, fd);
	if (fd >= 0)
		(void)close(fd);
}

/* Does *path*, which is setuid root, make somebody else of us? */
static void
try_setuid_program(const char *path)
{
	int outcome = -1;
	pid_t child = fork();

	if (child == 0) {
		/* Prints who it is. */
		(void)execl(path, path, (char *)NULL);
		_exit(126);
	}
	(void)waitpid(child, &outcome, 0);
	printf("run a setuid program\texit %d\n", WEXITSTATUS(outcome));
	(void)fflush(stdout);
}

/* Copy the program *from* to *path*, which we may write, and run it. */
static int
run_copy(const char *from, const char *path)
{
	int in = open(from, O_RDONLY), out, outcome = -1;
	char bytes[4096];
	ssize_t count;
	pid_t child;

	if (in < 0 || (out = open(path, O_CREAT | O_WRONLY, 0700)) < 0)
		return 0; /* "done" is a failure of the test */
	while ((count = read(in, bytes, sizeof(bytes))) > 0)
		if (write(out, bytes, (size_t)count) != count)
			return 0;
	(void)close(in);
	(void)close(out);
	if ((child = fork()) == 0) {
		(void)execl(path, "whoami", (char *)NULL);
		_exit(errno);
	}
	(void)waitpid(child, &outcome, 0);
	errno = WEXITSTATUS(outcome);
	return errno == 0 ? 0 : -1;
}

int
main(int argc, char *argv[])
{
	size_t page = 4096;
	char byte[1];
	void *memory;

	if (argc > 0 && strstr(argv[0], "whoami") != NULL)
		return geteuid() == 0 ? 1 : 0;

	/* Files. */
	try_file("/etc/probe", O_CREAT | O_WRONLY);
	try_file("/usr/probe", O_CREAT | O_WRONLY);
	try_file("/opt/todo/bin/probe", O_CREAT | O_WRONLY);
	try_file("/var/lib/probe", O_CREAT | O_WRONLY);
	try_file("/var/tmp/probe", O_CREAT | O_WRONLY);
	try_file("/tmp/probe", O_CREAT | O_WRONLY);
	try_file("/run/todo-fcgi/probe", O_CREAT | O_WRONLY);
	try_file("/dev/shm/probe", O_CREAT | O_WRONLY);
	/* Where the file system lets everybody in. */
	try_file("/var/open/probe", O_CREAT | O_WRONLY);
	try_file("/home/open/file", O_RDONLY);
	say("see others' processes", access("/proc/1/stat", F_OK));
	try_file("/etc/shadow", O_RDONLY);
	try_file("/home/somebody/file", O_RDONLY);
	try_file("/root/file", O_RDONLY);
	try_file("/dev/kmsg", O_RDONLY);
	try_file("/dev/mem", O_RDONLY);
	try_file("/proc/1/environ", O_RDONLY);
	try_file("/proc/sys/kernel/hostname", O_WRONLY);
	try_file("/proc/kcore", O_RDONLY);
	try_file("/proc/cpuinfo", O_RDONLY);
	try_file("/sys/fs/cgroup/cgroup.procs", O_WRONLY);
	say("make a device", mknod("/tmp/null", S_IFCHR | 0600, makedev(1, 3)));
	say("make a setuid file", mknod("/tmp/suid", S_IFREG | 04700, 0));
	say("give a file away", chown("/tmp/probe", 0, 0));

	/* Who it is. */
	try_setuid_program("/opt/todo/bin/whoami");
	say("become root", setuid(0));
	say("become group root", setgid(0));
	say("join other groups", setgroups(1, &(gid_t) { 0 }));
	say("signal others", kill(1, 0));

	/* Code. */
	memory = mmap(NULL, page, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	say("memory to write and execute", memory == MAP_FAILED ? -1 : 0);
	memory = mmap(NULL, page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	say("make memory executable",
	    mprotect(memory, page, PROT_READ | PROT_EXEC));

	say("run what it has made", run_copy(argv[0], "/tmp/copy"));

	/* The network. */
	try_socket("a Unix socket", AF_UNIX, SOCK_STREAM);
	try_socket("a TCP socket", AF_INET, SOCK_STREAM);
	try_socket("a netlink socket", AF_NETLINK, SOCK_RAW);
	try_socket("a packet socket", AF_PACKET, SOCK_RAW);
	try_socket("a VSOCK socket", AF_VSOCK, SOCK_STREAM);
	try_socket("an ALG socket", AF_ALG, SOCK_SEQPACKET);
	try_socket("a raw socket", AF_INET, SOCK_RAW);

	/* The kernel. */
	say("a user namespace", unshare(CLONE_NEWUSER));
	say("a mount namespace", unshare(CLONE_NEWNS));
	say("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
	say("chroot", chroot("/tmp"));
	say("trace a process", ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
	say("be traced", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	say("another priority", setpriority(PRIO_PROCESS, 0, 1));
	say("read a process",
	    syscall(SYS_process_vm_readv, getppid(),
		&(struct iovec) { byte, 1 }, 1, &(struct iovec) { &main, 1 }, 1,
		0));
	say("bpf", syscall(SYS_bpf, 0, NULL, 0));
	say("perf", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	say("userfaultfd", syscall(SYS_userfaultfd, 0));
	say("load a module", syscall(SYS_finit_module, -1, "", 0));
	say("kexec", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	say("set the clock", settimeofday(&(struct timeval) { 0, 0 }, NULL));
	say("set the host's name", sethostname("probe", 5));
	say("swap", swapon("/tmp/probe", 0));
	say("reboot", reboot(RB_DISABLE_CAD));
	say("another personality", personality(PER_LINUX32));
	say("realtime",
	    sched_setscheduler(
		0, SCHED_FIFO, &(struct sched_param) { .sched_priority = 1 }));
	say("a larger core",
	    setrlimit(RLIMIT_CORE, &(struct rlimit) { 1 << 20, 1 << 20 }));
	return 0;
}
