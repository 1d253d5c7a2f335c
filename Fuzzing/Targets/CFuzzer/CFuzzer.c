#include "CFuzzer.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int write_file(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return -1;
  ssize_t written = write(file, text, strlen(text));
  close(file);
  return written < 0 ? -1 : 0;
}

int fuzzing_leave_network(void) {
  if (unshare(CLONE_NEWNET) == 0) return 0;
  if (errno != EPERM) return -1;
  char users[64], groups[64];
  snprintf(users, sizeof users, "%u %u 1", geteuid(), geteuid());
  snprintf(groups, sizeof groups, "%u %u 1", getegid(), getegid());
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return -1;
  if (write_file("/proc/self/setgroups", "deny") != 0 || write_file("/proc/self/uid_map", users) != 0) return -1;
  return write_file("/proc/self/gid_map", groups);
}

// struct in6_ifreq of linux/ipv6.h, which doesn't go with netinet/in.h.
struct ipv6_request {
  struct in6_addr address;
  uint32_t prefix_length;
  int interface;
};

// An address is the kernel's "tentative" one until a worker of it has come by, on the loopback interface too, and nothing
// can be bound to it before. That is soon, and on a busy machine not at once: five seconds are waited.
static int await_address(const struct ipv6_request *request) {
  struct sockaddr_in6 end = {
    .sin6_family = AF_INET6, .sin6_addr = request->address, .sin6_scope_id = (uint32_t)request->interface};
  int number = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), result;
  if (number < 0) return -1;
  for (int waited = 0; (result = bind(number, (struct sockaddr *)&end, sizeof end)) != 0 && waited < 5000; waited++) {
    if (errno != EADDRNOTAVAIL) break;
    usleep(1000);
  }
  int failure = errno;
  close(number);
  return errno = failure, result;
}

int fuzzing_add_address(const char *address, unsigned prefix_length) {
  struct ipv6_request request6 = {.prefix_length = prefix_length, .interface = (int)if_nametoindex("lo")};
  // Where the alias is new, an address of class C has 24 bits; all of its network is local on this interface.
  struct ifreq request4 = {.ifr_name = "lo:1"};
  struct sockaddr_in *end = (struct sockaddr_in *)&request4.ifr_addr;
  int is_ipv6 = inet_pton(AF_INET6, address, &request6.address) == 1;
  end->sin_family = AF_INET;
  if (!is_ipv6 && inet_pton(AF_INET, address, &end->sin_addr) != 1) return errno = EINVAL, -1;
  int control = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (control < 0) return -1;
  int result = ioctl(control, SIOCSIFADDR, is_ipv6 ? (void *)&request6 : (void *)&request4);
  int failure = errno;
  close(control);
  if (result == 0 && is_ipv6) return await_address(&request6);
  return errno = failure, result;
}

static int endpoint(const char *address, uint16_t port, struct sockaddr_storage *storage, socklen_t *length) {
  struct sockaddr_in *end4 = (struct sockaddr_in *)storage;
  struct sockaddr_in6 *end6 = (struct sockaddr_in6 *)storage;
  memset(storage, 0, sizeof *storage);
  if (inet_pton(AF_INET, address, &end4->sin_addr) == 1) {
    end4->sin_port = htons(port);
    *length = sizeof *end4;
    return end4->sin_family = AF_INET;
  }
  if (inet_pton(AF_INET6, address, &end6->sin6_addr) != 1) return -1;
  end6->sin6_port = htons(port);
  *length = sizeof *end6;
  return end6->sin6_family = AF_INET6;
}

int fuzzing_serve(int type, const char *address, uint16_t port, int backlog) {
  struct sockaddr_storage storage;
  socklen_t length;
  int family = endpoint(address, port, &storage, &length);
  if (family < 0) return errno = EINVAL, -1;
  int number = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
  if (number < 0) return -1;
  setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (family == AF_INET6) setsockopt(number, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  if (bind(number, (struct sockaddr *)&storage, length) == 0 && (type != SOCK_STREAM || listen(number, backlog) == 0))
    return number;
  int failure = errno;
  close(number);
  return errno = failure, -1;
}

int fuzzing_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

int fuzzing_connect(const char *address, uint16_t port) {
  struct sockaddr_storage storage;
  socklen_t length;
  int family = endpoint(address, port, &storage, &length);
  if (family < 0) return errno = EINVAL, -1;
  int number = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (number < 0 || connect(number, (struct sockaddr *)&storage, length) == 0 || errno == EINPROGRESS) return number;
  int failure = errno;
  close(number);
  return errno = failure, -1;
}

void fuzzing_reset(int connection) {
  struct linger now = {.l_onoff = 1};
  setsockopt(connection, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(connection);
}

ptrdiff_t fuzzing_receive(int number, uint8_t *bytes, size_t size, uint8_t sender[28], uint32_t *sender_size) {
  *sender_size = 28;
  return recvfrom(number, bytes, size, MSG_DONTWAIT, (struct sockaddr *)sender, sender_size);
}

int fuzzing_end(int number, int is_peer, uint8_t address[16]) {
  struct sockaddr_storage storage;
  socklen_t length = sizeof storage;
  struct sockaddr *end = (struct sockaddr *)&storage;
  if ((is_peer ? getpeername(number, end, &length) : getsockname(number, end, &length)) != 0) return -1;
  if (end->sa_family == AF_INET6) {
    memcpy(address, &((struct sockaddr_in6 *)end)->sin6_addr, 16);
    return ntohs(((struct sockaddr_in6 *)end)->sin6_port);
  }
  memset(address, 0, 10);
  memset(address + 10, 0xFF, 2);
  memcpy(address + 12, &((struct sockaddr_in *)end)->sin_addr, 4);
  return ntohs(((struct sockaddr_in *)end)->sin_port);
}

int fuzzing_interface(int number) {
  int interface = -1;
  socklen_t length = sizeof interface;
  return getsockopt(number, SOL_SOCKET, SO_BINDTOIFINDEX, &interface, &length) == 0 ? interface : -1;
}

int fuzzing_is_blocking(int number) { return !(fcntl(number, F_GETFL) & O_NONBLOCK); }

int fuzzing_open_descriptors(void) {
  DIR *directory = opendir("/proc/self/fd");
  if (!directory) return -1;
  int count = 0;
  while (readdir(directory)) count++;
  closedir(directory);
  return count;
}

// Of the sanitizers' own interface (sanitizer/allocator_interface.h).
size_t __sanitizer_get_current_allocated_bytes(void);

size_t fuzzing_allocated(void) { return __sanitizer_get_current_allocated_bytes(); }

int fuzzing_memory_file(void) { return memfd_create("fuzzing", MFD_CLOEXEC); }
