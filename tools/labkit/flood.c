/* Sends the frames of a file round and round over an interface, at a rate: flood INTERFACE FILE RATE COUNT
 *
 * In the file each frame has its length before it, two octets in network order. It prints how many were sent and how
 * many microseconds that took. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 32, MOST = 65536 };

static struct iovec frames[MOST];

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static size_t read_frames(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) err(1, "%s", path);
  size_t count = 0;
  uint16_t length;
  while (count < MOST && fread(&length, sizeof length, 1, file) == 1) {
    struct iovec *frame = &frames[count++];
    frame->iov_len = ntohs(length);
    frame->iov_base = malloc(frame->iov_len);
    if (!frame->iov_base || fread(frame->iov_base, frame->iov_len, 1, file) != 1) errx(1, "%s ends within a frame", path);
  }
  fclose(file);
  if (!count) errx(1, "%s has no frames", path);
  return count;
}

int main(int arguments, char **argument) {
  if (arguments != 5) errx(2, "flood INTERFACE FILE RATE COUNT");
  const size_t there = read_frames(argument[2]);
  const uint64_t rate = strtoull(argument[3], NULL, 10), wanted = strtoull(argument[4], NULL, 10);
  if (!rate) errx(2, "a rate of 0");

  // Protocol 0: it hears nothing.
  int opened = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (opened < 0) err(1, "a packet socket");
  int on = 1;
  setsockopt(opened, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(argument[1])};
  if (!address.sll_ifindex || bind(opened, (struct sockaddr *)&address, sizeof address) < 0) err(1, "%s", argument[1]);

  struct mmsghdr messages[BATCH];
  memset(messages, 0, sizeof messages);
  const uint64_t start = now();
  uint64_t made = 0, sent = 0;
  while (made < wanted) {
    for (size_t i = 0; i < BATCH; i++, made++) {
      messages[i].msg_hdr.msg_iov = &frames[made % there];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const uint64_t due = start + made * 1000000000u / rate;
    const struct timespec until = {.tv_sec = (time_t)(due / 1000000000u), .tv_nsec = (long)(due % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL)) continue;
    for (int done = 0; done < BATCH;) {
      const int count = sendmmsg(opened, messages + done, (unsigned)(BATCH - done), 0);
      sent += count > 0 ? (uint64_t)count : 0;
      // The frame that was not taken is passed over.
      done += count > 0 ? count : 1;
    }
  }
  printf("%llu %llu\n", (unsigned long long)sent, (unsigned long long)((now() - start) / 1000));
  return 0;
}
