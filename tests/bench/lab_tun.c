/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The laboratory's gateways in userspace: the kernel routes what is to be translated to a TUN
 * device, a process reads, rewrites and writes it back, the kernel routes it on. Both processes
 * end with the benchmark, however that ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lab.h"
#include "tun_nat.h"

#define TUN_DEVICE   "tun0"
#define TAYGA_DEVICE "nat64"

#define TUN_PATIENCE_MS 5000

/*
 * A child that does not outlive this process, and works off what has come before the generator
 * makes more.
 *
 * Return: as fork().
 */
static pid_t spawn(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent ||
		    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){1}) < 0)
			_exit(1);
	}
	return pid;
}

static int missing(struct lab *lab, enum lab_path path, const char *why)
{
	lab->path[path].missing = why;
	return 0;
}

/* Does a process hold the device? Until then, what is sent to it is lost. */
static bool is_running(const char *device)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {};

	strncpy(ifr.ifr_name, device, sizeof(ifr.ifr_name) - 1);
	return fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &ifr) == 0 && (ifr.ifr_flags & IFF_RUNNING);
}

static bool wait_running(const char *device)
{
	for (int ms = 0; ms < TUN_PATIENCE_MS && !is_running(device); ms += 10)
		usleep(10000);
	return is_running(device);
}

int lab_start_tun(struct lab *lab)
{
	struct lab_links *links = &lab->path[LAB_TUN];
	_cleanup_(closep) int fd = -1;
	int r = lab_enter(links->gateway_fd);

	if (r < 0)
		return r;
	fd = tun_nat_open(TUN_DEVICE);
	if (fd < 0)
		return missing(lab, LAB_TUN, "no TUN device can be made");
	r = lab_command("link set " TUN_DEVICE " up\n"
			"route replace 100.96.0.0/11 dev " TUN_DEVICE "\n"
			"route add " LAB_TUN_NAT " dev " TUN_DEVICE "\n",
			"ip -batch -");
	if (r < 0)
		return r;
	links->process = spawn();
	if (links->process == 0) {
		tun_nat_run(fd);
		_exit(1);
	}
	return links->process < 0 ? -errno : 0;
}

/* The configuration, as a file that only the child sees. Return: descriptor; negative errno. */
static int tayga_config(void)
{
	static const char text[] = "tun-device " TAYGA_DEVICE "\n"
				   "ipv4-addr 203.0.113.3\n"
				   "prefix 2001:db8:64::/96\n"
				   "map " LAB_TAYGA_NAT " 2001:db8:1::2\n";
	_cleanup_(closep) int fd = memfd_create("tayga.conf", 0);

	if (fd < 0 || write(fd, text, sizeof(text) - 1) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static void exec_tayga(int config)
{
	char path[32];
	int null = open("/dev/null", O_RDWR);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", config);
	dup2(null, STDOUT_FILENO);
	execlp("tayga", "tayga", "--nodetach", "--config", path, (char *)NULL);
	_exit(127);
}

int lab_start_tayga(struct lab *lab)
{
	struct lab_links *links = &lab->path[LAB_TAYGA];
	_cleanup_(closep) int config = -1;
	int r;

	if (system("command -v tayga >/dev/null") != 0)
		return missing(lab, LAB_TAYGA,
			       "tayga is not installed (scripts/bootstrap.sh --bench)");
	r = lab_enter(links->gateway_fd);
	if (r < 0)
		return r;
	/* Made here, so that its routes are there before the process is. */
	r = lab_command("tuntap add mode tun " TAYGA_DEVICE "\n"
			"link set " TAYGA_DEVICE " up\n"
			"route add 2001:db8:64::/96 dev " TAYGA_DEVICE "\n"
			"route add " LAB_TAYGA_NAT " dev " TAYGA_DEVICE "\n",
			"ip -batch -");
	config = tayga_config();
	if (r < 0 || config < 0)
		return r < 0 ? r : config;
	links->process = spawn();
	if (links->process == 0)
		exec_tayga(config);
	if (links->process < 0)
		return -errno;
	return wait_running(TAYGA_DEVICE) ? 0 : missing(lab, LAB_TAYGA, "tayga does not start");
}
