// A network between namespaces, in user space: what leaves a host takes its time at a rate, and arrives a delay later.
// usage: hosts BITS-PER-SECOND DELAY-MICROSECONDS NAMESPACE…   The n-th of them (from 1) gets the address 10.9.0.n.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { most = 16, largest = 9000, length = 4096 };

static struct {
  int size, to;
  long due;
  unsigned char bytes[largest];
} queues[most][length];  // One a host: the order in which packets leave it is that in which they arrive.
static unsigned heads[most], tails[most];
static long free_at[most];
static unsigned long sent[most], dropped;

static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void report(int signal) {
  (void)signal;
  unsigned long all = 0;
  for (int n = 0; n < most; n++) all += sent[n];
  char text[96];
  int size = snprintf(text, sizeof text, "%lu bytes sent, %lu packets dropped\n", all, dropped);
  if (write(1, text, size) < 0) _exit(1);
  _exit(0);
}

int main(int count, char **words) {
  if (count < 4 || count - 3 > most) {
    fprintf(stderr, "usage: hosts BITS-PER-SECOND DELAY-MICROSECONDS NAMESPACE…\n");
    return 64;
  }
  double rate = atof(words[1]) / 8e9;  // bytes a nanosecond
  long delay = atol(words[2]) * 1000;
  int hosts = count - 3;
  struct pollfd files[most];
  for (int n = 0; n < hosts; n++) {
    char path[256];
    snprintf(path, sizeof path, "/run/netns/%s", words[3 + n]);
    int space = open(path, O_RDONLY);
    if (space < 0 || setns(space, CLONE_NEWNET) != 0) fail(path);
    close(space);
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    strcpy(request.ifr_name, "canon0");
    files[n].fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    files[n].events = POLLIN;
    if (files[n].fd < 0 || ioctl(files[n].fd, TUNSETIFF, &request) != 0) fail("/dev/net/tun");
  }
  signal(SIGTERM, report);
  puts("ready");
  fflush(stdout);
  for (;;) {
    long time = now(), next = time + 1000000000L;
    for (int n = 0; n < hosts; n++) {
      while (heads[n] != tails[n] && queues[n][heads[n] % length].due <= time) {
        unsigned at = heads[n]++ % length;
        if (write(files[queues[n][at].to].fd, queues[n][at].bytes, queues[n][at].size) < 0) dropped++;
      }
      if (heads[n] != tails[n] && queues[n][heads[n] % length].due < next) next = queues[n][heads[n] % length].due;
    }
    long left = next - now();
    struct timespec wait = {left > 0 ? left / 1000000000L : 0, left > 0 ? left % 1000000000L : 0};
    if (ppoll(files, hosts, &wait, NULL) <= 0) continue;
    time = now();
    for (int n = 0; n < hosts; n++) {
      while (files[n].revents & POLLIN && tails[n] - heads[n] < length) {
        unsigned at = tails[n] % length;
        ssize_t size = read(files[n].fd, queues[n][at].bytes, largest);
        if (size < 20) break;
        int to = queues[n][at].bytes[19] - 1;  // the last byte of the address
        if (queues[n][at].bytes[0] >> 4 != 4 || to < 0 || to >= hosts) continue;
        long leaves = (free_at[n] > time ? free_at[n] : time) + (long)(size / rate);
        queues[n][at].size = size, queues[n][at].to = to, queues[n][at].due = leaves + delay;
        free_at[n] = leaves;
        sent[n] += size;
        tails[n]++;
      }
    }
  }
}
