/* A program for the draft's socket, all of it: messages over every call that carries them, and every other call refused
   without effect. */
#include "pf_trigger.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

/* Requests go out over send, write, sendmsg, sendto and writev, answers come in over recv, read, recvmsg, recvfrom and
   readv; NOTIFYs are waited for with poll, select and epoll. */
static void messages(char **arguments) {
  (void)arguments;
  int writer = open_trigger_socket(), listener = open_trigger_socket();
  struct message asked, got;

  asked = request(TDB_REGISTER, BARE, 1, 0, 0);
  CHECK(write(listener, &asked, BARE) == (ssize_t)BARE);
  check_answer(&asked, &got, read(listener, &got, sizeof got));

  asked = request(TDB_ADD, WHOLE, 2, TDB_TTYPE_IF_ADDRCHANGED, 0);
  struct iovec part = {&asked, WHOLE};
  struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
  CHECK(sendmsg(writer, &header, 0) == (ssize_t)WHOLE);
  part = (struct iovec){&got, sizeof got};
  char control[64];
  struct sockaddr_storage sender;
  memset(&sender, 0x5A, sizeof sender);
  header = (struct msghdr){&sender, sizeof sender, &part, 1, control, sizeof control, 0};
  check_answer(&asked, &got, recvmsg(writer, &header, 0));
  CHECK(header.msg_namelen == 0 && header.msg_controllen == 0);
  CHECK((header.msg_flags & ~MSG_EOR) == 0);
  uint32_t id = got.trigger.tdb_trigger_id;
  CHECK(id != 0 && got.trigger.tdb_trigger_type == TDB_TTYPE_IF_ADDRCHANGED);

  struct pollfd question = {.fd = listener, .events = POLLIN};
  CHECK(poll(&question, 1, 5000) == 1 && question.revents == POLLIN);
  CHECK(recv(listener, &got, sizeof got, MSG_PEEK) == (ssize_t)WHOLE);
  CHECK(recv(listener, &got, sizeof got, 0) == (ssize_t)WHOLE);
  CHECK(got.header.tdb_header_msgtype == TDB_NOTIFY && got.trigger.tdb_trigger_id == id);
  CHECK(got.header.tdb_header_seq == 1 && got.header.tdb_header_pid == (uint32_t)getpid());
  CHECK(got.sockaddr.sin_addr.s_addr == htonl(0xC0000201) && got.address.tdb_address_prefixlen == 24);

  /* The address is of no use on this socket and not looked at, as with PF_KEY. */
  struct sockaddr_in nowhere = {.sin_family = AF_INET};
  asked = request(TDB_MODIFY, WHOLE, 3, TDB_TTYPE_DEST_UNREACHABLE, id);
  CHECK(sendto(writer, &asked, WHOLE, 0, (struct sockaddr *)&nowhere, sizeof nowhere) == (ssize_t)WHOLE);
  /* There is nobody whose address could be told. */
  socklen_t length = sizeof sender;
  check_answer(&asked, &got, recvfrom(writer, &got, sizeof got, 0, (struct sockaddr *)&sender, &length));
  CHECK(length == 0 && sender.ss_family != AF_UNIX);

  fd_set readable;
  FD_ZERO(&readable);
  FD_SET(listener, &readable);
  struct timeval patience = {5, 0};
  CHECK(select(listener + 1, &readable, NULL, NULL, &patience) == 1);
  length = 4;
  volatile size_t room = sizeof got; /* not known to the compiler: with _FORTIFY_SOURCE this is __recvfrom_chk */
  CHECK(recvfrom(listener, &got, room, 0, (struct sockaddr *)&sender, &length) == (ssize_t)WHOLE && length == 0);
  CHECK(got.header.tdb_header_msgtype == TDB_NOTIFY && got.trigger.tdb_trigger_type == TDB_TTYPE_DEST_UNREACHABLE);

  asked = request(TDB_GET, SHORT, 4, 0, id);
  CHECK(writev(writer, (struct iovec[]){{&asked, BARE}, {&asked.trigger, SHORT - BARE}}, 2) == (ssize_t)SHORT);
  check_answer(&asked, &got, readv(writer, (struct iovec[]){{&got, BARE}, {&got.trigger, WHOLE - BARE}}, 2));
  CHECK(got.trigger.tdb_trigger_type == TDB_TTYPE_DEST_UNREACHABLE);

  int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == 0);
  CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
  ask(writer, TDB_DELETE, SHORT, 5, 0, id);
  CHECK(epoll_wait(epoll, &event, 1, 5000) == 1 && event.events == EPOLLIN);
  CHECK(read(listener, &got, BARE) == (ssize_t)BARE); /* a datagram: what is not read is gone */
  CHECK(got.header.tdb_header_msgtype == TDB_NOTIFY && got.header.tdb_header_seq == 3);

  /* An error is the header alone; the socket stays usable. */
  asked = request(TDB_GET, SHORT, 6, 0, id);
  CHECK(send(writer, &asked, SHORT, 0) == (ssize_t)SHORT);
  CHECK(recv(writer, &got, sizeof got, 0) == (ssize_t)BARE && got.header.tdb_header_errno == ENOENT);

  check_silent(listener);
  CHECK(close(listener) == 0);
  check_works(writer);
  CHECK(close(writer) == 0);
  REFUSED(send(writer, &asked, SHORT, 0), EBADF);
}

static void check_unsupported(int fd) {
  struct sockaddr_un unix_address = {.sun_family = AF_UNIX, .sun_path = "here"};
  struct sockaddr_in inet_address = {.sin_family = AF_INET};
  struct sockaddr_storage address, untouched;
  memset(&untouched, 0xA5, sizeof untouched);
  address = untouched;
  socklen_t length = sizeof address;
  struct sockaddr *unix_name = (struct sockaddr *)&unix_address, *inet_name = (struct sockaddr *)&inet_address;
  struct sockaddr *name = (struct sockaddr *)&address;

  REFUSED(bind(fd, unix_name, sizeof unix_address), EOPNOTSUPP);
  CHECK(access("here", F_OK) == -1);
  REFUSED(bind(fd, unix_name, sizeof(sa_family_t)), EOPNOTSUPP);
  REFUSED(bind(fd, inet_name, sizeof inet_address), EOPNOTSUPP);
  REFUSED(connect(fd, unix_name, sizeof unix_address), EOPNOTSUPP);
  REFUSED(connect(fd, inet_name, sizeof inet_address), EOPNOTSUPP);
  inet_address.sin_family = AF_UNSPEC;
  REFUSED(connect(fd, inet_name, sizeof inet_address), EOPNOTSUPP);
  REFUSED(listen(fd, 5), EOPNOTSUPP);
  REFUSED(accept(fd, name, &length), EOPNOTSUPP);
  REFUSED(accept(fd, NULL, NULL), EOPNOTSUPP);
  REFUSED(accept4(fd, name, &length, SOCK_CLOEXEC), EOPNOTSUPP);
  REFUSED(getsockname(fd, name, &length), EOPNOTSUPP);
  REFUSED(getpeername(fd, name, &length), EOPNOTSUPP);
  for (int how = SHUT_RD; how <= SHUT_RDWR; how++) REFUSED(shutdown(fd, how), EOPNOTSUPP);
  CHECK(length == sizeof address && memcmp(&address, &untouched, sizeof address) == 0);
}

static void unsupported(char **arguments) {
  (void)arguments;
  int fd = open_trigger_socket(), listener = open_trigger_socket();
  ask(listener, TDB_REGISTER, BARE, 1, 0, 0);
  check_unsupported(fd);
  check_unsupported(listener);
  int pair[2] = {-7, -7};
  REFUSED(socketpair(PF_TRIGGER, SOCK_RAW, 0, pair), EOPNOTSUPP);
  REFUSED(socketpair(PF_TRIGGER, SOCK_STREAM, 0, pair), ESOCKTNOSUPPORT);
  CHECK(pair[0] == -7 && pair[1] == -7);
  check_silent(fd);
  check_silent(listener);

  /* Both are as they were: the one asks, the other is told, once. */
  struct message added = ask(fd, TDB_ADD, WHOLE, 2, TDB_TTYPE_IF_ADDRCHANGED, 0), told;
  CHECK(recv(listener, &told, sizeof told, 0) == (ssize_t)WHOLE);
  CHECK(told.header.tdb_header_seq == 1 && told.trigger.tdb_trigger_id == added.trigger.tdb_trigger_id);
  ask(fd, TDB_DELETE, SHORT, 3, 0, added.trigger.tdb_trigger_id);
  CHECK(recv(listener, &told, sizeof told, 0) == (ssize_t)WHOLE);
  check_silent(listener);
}

static void arguments_of_socket(char **arguments) {
  (void)arguments;
  REFUSED(socket(PF_TRIGGER, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
  REFUSED(socket(PF_TRIGGER, SOCK_DGRAM, 0), ESOCKTNOSUPPORT);
  REFUSED(socket(PF_TRIGGER, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), ESOCKTNOSUPPORT);
  REFUSED(socket(PF_TRIGGER, 0, 0), ESOCKTNOSUPPORT);
  REFUSED(socket(PF_TRIGGER, 11, 0), EINVAL);
  REFUSED(socket(PF_TRIGGER, SOCK_RAW | 0x10, 0), EINVAL);
  REFUSED(socket(PF_TRIGGER, -1, 0), EINVAL);
  REFUSED(socket(PF_TRIGGER, SOCK_RAW, 1), EPROTONOSUPPORT);
  REFUSED(socket(PF_TRIGGER, SOCK_RAW, -1), EPROTONOSUPPORT);

  for (int kind = 0; kind < 4; kind++) {
    int flags = (kind & 1 ? SOCK_NONBLOCK : 0) | (kind & 2 ? SOCK_CLOEXEC : 0);
    errno = EDOM;
    int fd = socket(PF_TRIGGER, SOCK_RAW | flags, 0);
    CHECK(fd >= 0 && errno == EDOM);
    CHECK(fcntl(fd, F_GETFL) == (O_RDWR | (kind & 1 ? O_NONBLOCK : 0)));
    CHECK(fcntl(fd, F_GETFD) == (kind & 2 ? FD_CLOEXEC : 0));
    char byte;
    if (kind & 1) REFUSED(recv(fd, &byte, 1, 0), EAGAIN);
    REFUSED(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
    struct timeval limit;
    socklen_t length = sizeof limit;
    CHECK(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &length) == 0 && limit.tv_sec == 0 && limit.tv_usec == 0);
    int on = 1;
    CHECK(ioctl(fd, FIONBIO, &on) == 0 && fcntl(fd, F_GETFL) == (O_RDWR | O_NONBLOCK));
    CHECK(close(fd) == 0);
  }
}

static void options(char **arguments) {
  (void)arguments;
  int fd = open_trigger_socket();
  const int expected[][2] = {
      {SO_DOMAIN, PF_TRIGGER}, {SO_TYPE, SOCK_RAW}, {SO_PROTOCOL, 0}, {SO_ACCEPTCONN, 0}, {SO_ERROR, 0}};
  for (size_t index = 0; index < sizeof expected / sizeof *expected; index++) {
    int value = -7;
    socklen_t length = sizeof value;
    errno = EDOM;
    CHECK(getsockopt(fd, SOL_SOCKET, expected[index][0], &value, &length) == 0 && errno == EDOM);
    CHECK(length == sizeof value && value == expected[index][1]);
  }
  unsigned char bytes[4] = {1, 2, 3, 4};
  socklen_t length = 1;
  CHECK(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, bytes, &length) == 0 && length == 1);
  CHECK(bytes[0] == PF_TRIGGER && bytes[1] == 2 && bytes[2] == 3 && bytes[3] == 4);

  struct ucred peer = {1, 1, 1};
  length = sizeof peer;
  CHECK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0);
  CHECK(peer.pid == 0 && peer.uid == (uid_t)-1 && peer.gid == (gid_t)-1);
  char text[64];
  length = sizeof text;
  REFUSED(getsockopt(fd, SOL_SOCKET, SO_PEERSEC, text, &length), ENOPROTOOPT);
  REFUSED(getsockopt(fd, SOL_SOCKET, 59 /* SO_PEERGROUPS */, text, &length), ENODATA);
  REFUSED(getsockopt(fd, SOL_SOCKET, 77 /* SO_PEERPIDFD */, text, &length), ENODATA);
  REFUSED(getsockopt(fd, IPPROTO_TCP, 1, text, &length), EOPNOTSUPP);

  int size = 65536;
  CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0);
  struct timeval patience = {0, 20000};
  CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
  REFUSED(recv(fd, text, sizeof text, 0), EAGAIN);
  check_works(fd);
}

/* Between the two getppid(2) there is one system call for each call here: strace shows it. */
static void hot(char **arguments) {
  (void)arguments;
  int fd = open_trigger_socket();
  struct message asked = request(TDB_GET, SHORT, 1, 0, 0xFFFFFFF0), got;
  struct pollfd question = {.fd = fd, .events = POLLIN};
  syscall(SYS_getppid);
  for (int round = 0; round < 10; round++) {
    CHECK(send(fd, &asked, SHORT, 0) == (ssize_t)SHORT);
    CHECK(poll(&question, 1, 5000) == 1);
    CHECK(recv(fd, &got, sizeof got, 0) == (ssize_t)BARE);
    CHECK(write(fd, &asked, SHORT) == (ssize_t)SHORT);
    CHECK(read(fd, &got, sizeof got) == (ssize_t)BARE);
    struct iovec part = {&got, sizeof got};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    CHECK(sendto(fd, &asked, SHORT, 0, NULL, 0) == (ssize_t)SHORT);
    CHECK(recvmsg(fd, &header, 0) == (ssize_t)BARE);
  }
  syscall(SYS_getppid);
}

/* What socket(2) says, by its number. */
static void opens(char **arguments) {
  (void)arguments;
  errno = 0;
  int fd = socket(PF_TRIGGER, SOCK_RAW, 0);
  printf("%d\n", fd < 0 ? errno : 0);
}

int main(int count, char **arguments) {
  static const struct part parts[] = {
      {"messages", messages}, {"unsupported", unsupported}, {"arguments", arguments_of_socket},
      {"options", options},   {"hot", hot},                 {"opens", opens},
  };
  (void)count;
  return run_part(parts, sizeof parts / sizeof *parts, arguments);
}
