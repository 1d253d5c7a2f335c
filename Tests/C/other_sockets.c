/* A program that has nothing to do with PF_TRIGGER and tells everything that its sockets do: results, errno (also where
   a call succeeds), addresses, descriptors' numbers, bytes. Its output is the same with and without libpftrigger.so.
   It wants a network namespace of its own with `lo` up, an empty working directory and the path of trigger.sock. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static long tell(const char *what, long result) {
  int number = errno;
  printf("%s = %ld, errno %d\n", what, result, number);
  errno = 4711;
  return result;
}
#define TELL(call) (errno = 4711, tell(#call, (long)(call)))

static void tell_bytes(const char *what, const void *bytes, size_t count) {
  printf("  %s:", what);
  for (size_t index = 0; index < count; index++) printf(" %02x", ((const unsigned char *)bytes)[index]);
  puts("");
}

static struct sockaddr_storage address;
static socklen_t length;
#define ADDRESS ((struct sockaddr *)&address)
/* A call that writes an address: room for it, and what of it was written. */
#define NAMED(room, call)                                         \
  (memset(&address, 0xEE, sizeof address), length = (room),       \
   errno = 4711, tell(#call " with room for " #room, (long)(call)), \
   tell_bytes("address", &address, sizeof address), tell_bytes("length", &length, sizeof length))

/* Bad pointers that the compiler doesn't see. */
static void *volatile nowhere = (void *)1;
static volatile int bad = 987;

static socklen_t unix_name(struct sockaddr_un *name, const char *text, size_t count) {
  memset(name, 0, sizeof *name);
  name->sun_family = AF_UNIX;
  memcpy(name->sun_path, text, count);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + count);
}

static void errors(void) {
  int pipes[2];
  TELL(pipe(pipes));
  const int wrong[] = {-1, bad, pipes[0]};
  for (int index = 0; index < 3; index++) {
    int fd = wrong[index];
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr header = {ADDRESS, sizeof address, &part, 1, NULL, 0, 0};
    TELL(bind(fd, ADDRESS, sizeof address));
    TELL(connect(fd, ADDRESS, sizeof address));
    TELL(listen(fd, 1));
    TELL(shutdown(fd, SHUT_RD));
    NAMED(sizeof address, accept(fd, ADDRESS, &length));
    NAMED(sizeof address, accept4(fd, ADDRESS, &length, SOCK_CLOEXEC));
    NAMED(sizeof address, getsockname(fd, ADDRESS, &length));
    NAMED(sizeof address, getpeername(fd, ADDRESS, &length));
    NAMED(sizeof address, recvfrom(fd, &byte, 1, MSG_DONTWAIT, ADDRESS, &length));
    TELL(recvmsg(fd, &header, MSG_DONTWAIT));
    NAMED(4, getsockopt(fd, SOL_SOCKET, SO_TYPE, ADDRESS, &length));
    NAMED(4, getsockopt(fd, SOL_SOCKET, SO_DOMAIN, ADDRESS, &length));
    NAMED(12, getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ADDRESS, &length));
  }
  TELL(socket(PF_UNSPEC, SOCK_RAW, 0));
  TELL(socket(199, SOCK_RAW, 0));
  TELL(socket(201, SOCK_RAW, 0));
  TELL(socket(-200, SOCK_RAW, 0));
  TELL(socket(AF_INET, SOCK_SEQPACKET, 0));
  TELL(socket(AF_INET, SOCK_STREAM, 250));
  TELL(socket(AF_INET, SOCK_STREAM | 0x10, 0));
  int pair[2] = {-1, -1};
  TELL(socketpair(AF_INET, SOCK_STREAM, 0, pair));
  TELL(socketpair(201, SOCK_STREAM, 0, pair));
  TELL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
  tell_bytes("pair", pair, sizeof pair);
  TELL(socketpair(AF_UNIX, SOCK_STREAM, 0, nowhere));
  NAMED(sizeof address, getsockname(pair[0], ADDRESS, &length));
  NAMED(sizeof address, getpeername(pair[0], ADDRESS, &length));
  TELL(getsockname(pair[0], nowhere, &length));
  TELL(getsockname(pair[0], ADDRESS, nowhere));
  TELL(getpeername(pair[0], ADDRESS, NULL));
  TELL(bind(pair[0], nowhere, 16));
  TELL(bind(pair[0], ADDRESS, 1000));
  TELL(connect(pair[0], nowhere, 16));
  TELL(accept(pair[0], nowhere, nowhere));
  TELL(accept4(pair[0], NULL, NULL, 0x10));
  TELL(getsockopt(pair[0], SOL_SOCKET, SO_TYPE, nowhere, &length));
  TELL(getsockopt(pair[0], SOL_SOCKET, SO_TYPE, ADDRESS, nowhere));
  TELL(getsockopt(pair[0], SOL_SOCKET, 9999, ADDRESS, &length));
  TELL(recvmsg(pair[0], NULL, MSG_DONTWAIT));
  TELL(recvfrom(pair[0], ADDRESS, 1, MSG_DONTWAIT, NULL, NULL));
  TELL(shutdown(pair[0], 99));
  TELL(shutdown(pair[0], SHUT_RDWR));
  TELL(send(pair[1], "x", 1, MSG_NOSIGNAL));
  for (int index = 0; index < 2; index++) TELL(close(pair[index]) | close(pipes[index]));
}

static void tell_options(int fd) {
  const int names[] = {SO_DOMAIN, SO_TYPE, SO_PROTOCOL, SO_ACCEPTCONN, SO_ERROR, SO_SNDTIMEO};
  for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
    NAMED(4, getsockopt(fd, SOL_SOCKET, names[index], ADDRESS, &length));
    NAMED(2, getsockopt(fd, SOL_SOCKET, names[index], ADDRESS, &length));
    NAMED(64, getsockopt(fd, SOL_SOCKET, names[index], ADDRESS, &length));
    NAMED(0, getsockopt(fd, SOL_SOCKET, names[index], ADDRESS, &length));
  }
  NAMED(64, getsockopt(fd, SOL_SOCKET, 59 /* SO_PEERGROUPS */, ADDRESS, &length));
  NAMED(64, getsockopt(fd, SOL_SOCKET, SO_PEERSEC, ADDRESS, &length));
  struct ucred peer = {0, 0, 0};
  length = sizeof peer;
  TELL(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length));
  printf("  peer: %s, uid %d, gid %d\n", peer.pid == getpid() ? "this process" : peer.pid ? "another" : "nobody",
         (int)peer.uid, (int)peer.gid);
}

/* A message with its sender's address, asked for in every way. */
static void receive(int from, int to, const struct sockaddr *name, socklen_t size) {
  char byte[4];
  struct iovec part = {byte, sizeof byte};
  static const socklen_t rooms[] = {sizeof address, 110, 16, 2, 1, 0};
  for (size_t index = 0; index < sizeof rooms / sizeof *rooms; index++) {
    TELL(sendto(from, "abc", 3, 0, name, size));
    NAMED(rooms[index], recvfrom(to, byte, sizeof byte, 0, ADDRESS, &length));
    TELL(sendto(from, "abc", 3, 0, name, size));
    struct msghdr header = {ADDRESS, rooms[index], &part, 1, NULL, 0, 0};
    NAMED(0, recvmsg(to, &header, 0));
    tell_bytes("name's length", &header.msg_namelen, sizeof header.msg_namelen);
  }
  TELL(sendto(from, "abc", 3, 0, name, size));
  TELL(recvfrom(to, byte, sizeof byte, 0, ADDRESS, NULL));
  TELL(sendto(from, "abc", 3, 0, name, size));
  TELL(recvfrom(to, byte, sizeof byte, 0, NULL, NULL));
  TELL(recvfrom(to, byte, sizeof byte, MSG_DONTWAIT, ADDRESS, &length));
}

static void datagrams(const char *kind, int family, const struct sockaddr *name, socklen_t size) {
  puts(kind);
  int server = (int)TELL(socket(family, SOCK_DGRAM, 0));
  int client = (int)TELL(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  NAMED(sizeof address, getsockname(server, ADDRESS, &length));
  TELL(bind(server, name, size));
  TELL(bind(server, name, size));
  TELL(bind(client, name, size));
  NAMED(sizeof address, getsockname(server, ADDRESS, &length));
  NAMED(3, getsockname(server, ADDRESS, &length));
  NAMED(sizeof address, getpeername(server, ADDRESS, &length));
  TELL(listen(server, 1));
  TELL(accept(server, NULL, NULL));
  if (family != AF_UNIX) {
    struct sockaddr_in6 own; /* the port stands where sockaddr_in has it */
    memcpy(&own, name, size);
    own.sin6_port = htons(4001);
    TELL(bind(client, (struct sockaddr *)&own, size));
  }
  receive(client, server, name, size);
  TELL(connect(client, name, size));
  NAMED(sizeof address, getpeername(client, ADDRESS, &length));
  tell_options(client);
  TELL(shutdown(server, SHUT_RD));
  TELL(close(server) | close(client));
}

static void connections(const char *kind, int family, int type, const struct sockaddr *name, socklen_t size) {
  puts(kind);
  int server = (int)TELL(socket(family, type, 0)), client = (int)TELL(socket(family, type | SOCK_NONBLOCK, 0));
  TELL(accept(server, NULL, NULL));
  TELL(listen(client, 0) | shutdown(client, SHUT_RDWR));
  TELL(connect(server, name, size));
  TELL(close(client) | close(server));
  server = (int)TELL(socket(family, type, 0)), client = (int)TELL(socket(family, type, 0));
  TELL(bind(server, name, size));
  TELL(listen(server, 4));
  tell_options(server);
  TELL(fcntl(server, F_SETFL, O_NONBLOCK));
  NAMED(sizeof address, accept(server, ADDRESS, &length));
  TELL(connect(client, name, size));
  TELL(connect(client, name, size));
  NAMED(sizeof address, getpeername(client, ADDRESS, &length));
  if (family == AF_UNIX) NAMED(sizeof address, getsockname(client, ADDRESS, &length));
  int accepted = (int)TELL(accept4(server, NULL, NULL, SOCK_CLOEXEC));
  TELL(fcntl(accepted, F_GETFD));
  TELL(accept(accepted, NULL, NULL));
  TELL(listen(accepted, 1));
  NAMED(sizeof address, getsockname(accepted, ADDRESS, &length));
  TELL(bind(client, name, size));
  tell_options(client);
  receive(accepted, client, NULL, 0);
  TELL(shutdown(accepted, SHUT_WR));
  NAMED(sizeof address, recvfrom(client, nowhere, 0, 0, ADDRESS, &length));
  TELL(close(server) | close(accepted));
  if (family == AF_UNIX) TELL(send(client, "x", 1, MSG_NOSIGNAL));
  TELL(close(client));
}

/* trigger.sock, as a program that knows what it is connects to it. */
static void agent_by_hand(const char *path) {
  puts("trigger.sock by hand");
  struct sockaddr_un name;
  socklen_t size = unix_name(&name, path, strlen(path) + 1);
  static const unsigned char asked[32] = {1, 2, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,
                                          2, 0, 2, 0, 0, 0, 0, 0, 0xF0, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0};
  static const socklen_t rooms[] = {sizeof address, 10, 0};
  for (int named = 0; named < 2; named++) {
    int fd = (int)TELL(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    struct sockaddr_un own;
    socklen_t own_size = unix_name(&own, "\0trigger.sock", 13);
    if (named) TELL(bind(fd, (struct sockaddr *)&own, own_size));
    TELL(connect(fd, (struct sockaddr *)&name, size));
    NAMED(sizeof address, getsockname(fd, ADDRESS, &length));
    NAMED(sizeof address, getpeername(fd, ADDRESS, &length));
    NAMED(4, getsockopt(fd, SOL_SOCKET, SO_DOMAIN, ADDRESS, &length));
    NAMED(4, getsockopt(fd, SOL_SOCKET, SO_TYPE, ADDRESS, &length));
    for (size_t index = 0; index < sizeof rooms / sizeof *rooms; index++) {
      unsigned char answer[64];
      TELL(send(fd, asked, sizeof asked, 0));
      NAMED(rooms[index], recvfrom(fd, answer, sizeof answer, 0, ADDRESS, &length));
      tell_bytes("answer", answer, 16);
      TELL(send(fd, asked, sizeof asked, 0));
      struct iovec part = {answer, sizeof answer};
      struct msghdr header = {ADDRESS, rooms[index], &part, 1, NULL, 0, 0};
      NAMED(0, recvmsg(fd, &header, 0));
      tell_bytes("name's length", &header.msg_namelen, sizeof header.msg_namelen);
    }
    TELL(bind(fd, (struct sockaddr *)&own, sizeof(sa_family_t)));
    TELL(connect(fd, (struct sockaddr *)&name, size));
    TELL(listen(fd, 1));
    TELL(accept(fd, NULL, NULL));
    TELL(shutdown(fd, SHUT_RDWR));
    TELL(recv(fd, ADDRESS, 1, 0));
    TELL(close(fd));
  }
}

static void netlink(void) {
  puts("netlink");
  int fd = (int)TELL(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_pid = 77};
  TELL(bind(fd, (struct sockaddr *)&name, sizeof name));
  NAMED(sizeof address, getsockname(fd, ADDRESS, &length));
  struct {
    struct nlmsghdr header;
    struct ifinfomsg link;
  } asked = {{sizeof asked, RTM_GETLINK, NLM_F_REQUEST, 5, 77}, {.ifi_index = 1}};
  char bytes[8192];
  TELL(send(fd, &asked, sizeof asked, 0));
  NAMED(sizeof address, recvfrom(fd, bytes, 16, 0, ADDRESS, &length) > 0);
  TELL(listen(fd, 1));
  TELL(accept(fd, NULL, NULL));
  TELL(shutdown(fd, SHUT_RDWR));
  tell_options(fd);
  TELL(close(fd));
}

/* A thread that waits in a call is cancelled, and unwound through this frame: both clean-ups run. */
static int waiting[2];

static void unwound(int *kind) { printf("  unwound %d\n", *kind); }
static void handled(void *kind) { printf("  handled %d\n", *(int *)kind); }

static void *wait_for_cancellation(void *argument) {
  int kind __attribute__((cleanup(unwound))) = *(int *)argument;
  char byte;
  struct iovec part = {&byte, 1};
  struct msghdr header = {ADDRESS, sizeof address, &part, 1, NULL, 0, 0};
  struct sockaddr_un name;
  socklen_t size = unix_name(&name, "full", 5);
  volatile size_t count = 1;
  length = sizeof address;
  pthread_cleanup_push(handled, &kind);
  if (kind == 0) accept(waiting[0], ADDRESS, &length);
  if (kind == 1) accept4(waiting[0], ADDRESS, &length, 0);
  if (kind == 2) recvfrom(waiting[1], &byte, count, 0, ADDRESS, &length);
  if (kind == 3) recvmsg(waiting[1], &header, 0);
  if (kind == 4) connect(waiting[1], (struct sockaddr *)&name, size);
  pthread_cleanup_pop(0);
  return NULL;
}

static void cancellation(void) {
  struct sockaddr_un name;
  for (int kind = 0; kind < 5; kind++) {
    waiting[0] = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    waiting[1] = socket(AF_UNIX, kind == 4 ? SOCK_SEQPACKET : SOCK_DGRAM, 0);
    socklen_t size = unix_name(&name, kind == 4 ? "full" : "empty", 6);
    TELL(bind(waiting[0], (struct sockaddr *)&name, size));
    TELL(listen(waiting[0], 0));
    int first = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (kind == 4) TELL(connect(first, (struct sockaddr *)&name, size));
    pthread_t thread;
    void *result = NULL;
    TELL(pthread_create(&thread, NULL, wait_for_cancellation, &kind));
    usleep(50000);
    TELL(pthread_cancel(thread) | pthread_join(thread, &result));
    TELL(result == PTHREAD_CANCELED);
    TELL(close(waiting[0]) | close(waiting[1]) | close(first) | unlink(name.sun_path));
  }
}

/* What servers and clients do all day, between two getppid(2): strace counts here. */
static void hot(void) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(4000), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct sockaddr_un path;
  socklen_t size = unix_name(&path, "hot", 4);
  int udp = socket(AF_INET, SOCK_DGRAM, 0), local = socket(AF_UNIX, SOCK_DGRAM, 0);
  int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
  int failed = bind(udp, (struct sockaddr *)&name, sizeof name) | bind(local, (struct sockaddr *)&path, size) |
               bind(server, (struct sockaddr *)&name, sizeof name) | listen(server, 100);
  struct epoll_event event = {.events = EPOLLIN};
  failed |= epoll_ctl(epoll, EPOLL_CTL_ADD, udp, &event);
  int clients[20];
  for (int index = 0; index < 20; index++) {
    clients[index] = socket(AF_INET, SOCK_STREAM, 0);
    failed |= connect(clients[index], (struct sockaddr *)&name, sizeof name);
  }
  if (failed) abort();
  syscall(SYS_getppid);
  for (int index = 0; index < 20; index++) {
    char byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr header = {ADDRESS, sizeof address, &part, 1, NULL, 0, 0};
    long sum = sendto(udp, &byte, 1, 0, (struct sockaddr *)&name, sizeof name);
    length = sizeof address;
    sum += epoll_wait(epoll, &event, 1, 1000);
    sum += recvfrom(udp, &byte, 1, 0, ADDRESS, &length);
    sum += sendto(udp, &byte, 1, 0, (struct sockaddr *)&name, sizeof name);
    sum += recvmsg(udp, &header, 0);
    length = sizeof address;
    sum += sendto(local, &byte, 1, 0, (struct sockaddr *)&path, size);
    sum += recvfrom(local, &byte, 1, 0, ADDRESS, &length);
    length = sizeof address;
    int accepted = accept4(server, ADDRESS, &length, SOCK_CLOEXEC);
    struct pollfd question = {.fd = accepted, .events = POLLIN};
    sum += write(clients[index], &byte, 1);
    sum += poll(&question, 1, 1000);
    sum += read(accepted, &byte, 1);
    sum += send(accepted, &byte, 1, 0);
    sum += recv(clients[index], &byte, 1, 0);
    if (sum != 12 || close(accepted) != 0) abort();
  }
  if (accept(server, NULL, NULL) != -1) abort();
  syscall(SYS_getppid);
}

int main(int count, char **arguments) {
  if (count < 2) return 2;
  if (strcmp(arguments[1], "hot") == 0) {
    hot();
    return 0;
  }
  struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = htons(4000), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct sockaddr_in6 inet6 = {.sin6_family = AF_INET6, .sin6_port = htons(4000), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  struct sockaddr_un path, decoy, abstract;
  socklen_t path_size = unix_name(&path, "name", 5), decoy_size = unix_name(&decoy, "./trigger.sock", 15);
  socklen_t abstract_size = unix_name(&abstract, "\0PF_TRIGGER", 11);

  errors();
  datagrams("UDP over IPv4", AF_INET, (struct sockaddr *)&inet, sizeof inet);
  datagrams("UDP over IPv6", AF_INET6, (struct sockaddr *)&inet6, sizeof inet6);
  datagrams("Unix datagrams", AF_UNIX, (struct sockaddr *)&path, path_size);
  datagrams("Unix datagrams, abstract", AF_UNIX, (struct sockaddr *)&abstract, abstract_size);
  connections("TCP over IPv4", AF_INET, SOCK_STREAM, (struct sockaddr *)&inet, sizeof inet);
  connections("TCP over IPv6", AF_INET6, SOCK_STREAM, (struct sockaddr *)&inet6, sizeof inet6);
  unlink("name");
  connections("Unix stream", AF_UNIX, SOCK_STREAM, (struct sockaddr *)&path, path_size);
  unlink("name");
  connections("Unix seqpacket", AF_UNIX, SOCK_SEQPACKET, (struct sockaddr *)&path, path_size);
  connections("Unix seqpacket, another trigger.sock", AF_UNIX, SOCK_SEQPACKET, (struct sockaddr *)&decoy, decoy_size);
  connections("Unix seqpacket, abstract", AF_UNIX, SOCK_SEQPACKET, (struct sockaddr *)&abstract, abstract_size);
  netlink();
  agent_by_hand(arguments[1]);
  cancellation();
  return 0;
}
