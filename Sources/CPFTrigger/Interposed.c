// The C library's functions that libpftrigger.so takes the names of. What concerns a socket of another family goes on
// to the next definition, the C library's or that of another preloaded library. For PF_TRIGGER each answers as a socket
// of PF_KEY does in Linux (net/key/af_key.c).
//
// C, because some of them are cancellation points: a thread that ends inside of one is unwound through the caller's
// frames (-fexceptions), and Swift writes no unwind tables. docs/socket-family.md says more.
#include "CPFTrigger.h"

#include <dlfcn.h>

#define EXPORTED __attribute__((visibility("default")))

ssize_t __recvfrom_chk(int fd, void *bytes, size_t count, size_t size, int flags, __SOCKADDR_ARG address,
                       socklen_t *length);

// Looked up once, as the library is loaded: dlsym(3) and getenv(3) may not be called where socket(2) may, in a signal
// handler or between fork(2) and exec. Nothing is written here afterwards, so nothing is locked.
static struct definitions {
  __typeof__(&socket) socket;
  __typeof__(&socketpair) socketpair;
  __typeof__(&bind) bind;
  __typeof__(&connect) connect;
  __typeof__(&listen) listen;
  __typeof__(&accept) accept;
  __typeof__(&accept4) accept4;
  __typeof__(&getsockname) getsockname;
  __typeof__(&getpeername) getpeername;
  __typeof__(&shutdown) shutdown;
  __typeof__(&getsockopt) getsockopt;
  __typeof__(&recvfrom) recvfrom;
  __typeof__(&__recvfrom_chk) recvfrom_chk;
  __typeof__(&recvmsg) recvmsg;
} found;
static struct pftrigger_agent agent;
static bool is_ready;

__attribute__((constructor)) static void look_up(void) {
  if (is_ready) return;
  found = (struct definitions){
      .socket = dlsym(RTLD_NEXT, "socket"),
      .socketpair = dlsym(RTLD_NEXT, "socketpair"),
      .bind = dlsym(RTLD_NEXT, "bind"),
      .connect = dlsym(RTLD_NEXT, "connect"),
      .listen = dlsym(RTLD_NEXT, "listen"),
      .accept = dlsym(RTLD_NEXT, "accept"),
      .accept4 = dlsym(RTLD_NEXT, "accept4"),
      .getsockname = dlsym(RTLD_NEXT, "getsockname"),
      .getpeername = dlsym(RTLD_NEXT, "getpeername"),
      .shutdown = dlsym(RTLD_NEXT, "shutdown"),
      .getsockopt = dlsym(RTLD_NEXT, "getsockopt"),
      .recvfrom = dlsym(RTLD_NEXT, "recvfrom"),
      .recvfrom_chk = dlsym(RTLD_NEXT, "__recvfrom_chk"),
      .recvmsg = dlsym(RTLD_NEXT, "recvmsg"),
  };
  pftrigger_find_agent(&agent);
  is_ready = true;
}

// Constructors of other libraries may run before this one's.
static const struct definitions *next(void) {
  if (!is_ready) look_up();
  return &found;
}

static int fail(int number) {
  errno = number;
  return -1;
}

EXPORTED int socket(int family, int type, int protocol) {
  const struct definitions *definitions = next();
  if (family != PF_TRIGGER) return definitions->socket(family, type, protocol);
  int result = pftrigger_open(type, protocol, &agent);
  return result < 0 ? fail(-result) : result;
}

EXPORTED int socketpair(int family, int type, int protocol, int pair[2]) {
  if (family != PF_TRIGGER) return next()->socketpair(family, type, protocol, pair);
  int refusal = pftrigger_refusal(type, protocol);
  return fail(refusal ? refusal : EOPNOTSUPP);
}

EXPORTED int bind(int fd, __CONST_SOCKADDR_ARG address, socklen_t length) {
  return pftrigger_is(fd) ? fail(EOPNOTSUPP) : next()->bind(fd, address, length);
}

EXPORTED int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t length) {
  return pftrigger_is(fd) ? fail(EOPNOTSUPP) : next()->connect(fd, address, length);
}

EXPORTED int listen(int fd, int backlog) { return pftrigger_is(fd) ? fail(EOPNOTSUPP) : next()->listen(fd, backlog); }

EXPORTED int shutdown(int fd, int how) { return pftrigger_is(fd) ? fail(EOPNOTSUPP) : next()->shutdown(fd, how); }

EXPORTED int getsockname(int fd, __SOCKADDR_ARG address, socklen_t *length) {
  return pftrigger_is(fd) ? fail(EOPNOTSUPP) : next()->getsockname(fd, address, length);
}

EXPORTED int getpeername(int fd, __SOCKADDR_ARG address, socklen_t *length) {
  return pftrigger_is(fd) ? fail(EOPNOTSUPP) : next()->getpeername(fd, address, length);
}

// A server accepts often: its socket is looked at only after EINVAL, which the kernel says, without any effect, of a
// Unix socket that does not listen.
static int accepted(int fd, int result) {
  return result == -1 && errno == EINVAL && pftrigger_is(fd) ? fail(EOPNOTSUPP) : result;
}

EXPORTED int accept(int fd, __SOCKADDR_ARG address, socklen_t *length) {
  return accepted(fd, next()->accept(fd, address, length));
}

EXPORTED int accept4(int fd, __SOCKADDR_ARG address, socklen_t *length, int flags) {
  return accepted(fd, next()->accept4(fd, address, length, flags));
}

EXPORTED int getsockopt(int fd, int level, int name, void *value, socklen_t *length) {
  if (level != SOL_SOCKET) return next()->getsockopt(fd, level, name, value, length);
  int refusal = pftrigger_refused_option(fd, name);
  if (refusal) return fail(refusal);
  int result = next()->getsockopt(fd, level, name, value, length);
  if (result == 0) pftrigger_correct_option(fd, name, value, *length);
  return result;
}

// A message on a socket of the family has no sender's address: as with PF_KEY, its length is 0. Only a call that asks
// for the address is looked at, after it.

EXPORTED ssize_t recvfrom(int fd, void *bytes, size_t count, int flags, __SOCKADDR_ARG address, socklen_t *length) {
  void *sender = address.__sockaddr__;
  socklen_t room = sender && length ? *length : 0;
  ssize_t received = next()->recvfrom(fd, bytes, count, flags, address, length);
  if (received >= 0 && sender) pftrigger_conceal_sender(fd, sender, room, length);
  return received;
}

// recvfrom(2) of a program that was compiled with _FORTIFY_SOURCE.
EXPORTED ssize_t __recvfrom_chk(int fd, void *bytes, size_t count, size_t size, int flags, __SOCKADDR_ARG address,
                                socklen_t *length) {
  void *sender = address.__sockaddr__;
  socklen_t room = sender && length ? *length : 0;
  ssize_t received = next()->recvfrom_chk(fd, bytes, count, size, flags, address, length);
  if (received >= 0 && sender) pftrigger_conceal_sender(fd, sender, room, length);
  return received;
}

EXPORTED ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  void *sender = message ? message->msg_name : NULL;
  socklen_t room = sender ? message->msg_namelen : 0;
  ssize_t received = next()->recvmsg(fd, message, flags);
  if (received >= 0 && sender) pftrigger_conceal_sender(fd, sender, room, &message->msg_namelen);
  return received;
}
