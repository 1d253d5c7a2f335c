// The seam inside libpftrigger.so: what its C half, which has the C library's names, asks of its Swift half, which
// knows what a socket of the family PF_TRIGGER is. All of it may be called in a signal handler, leaves errno as it is
// and is no cancellation point, but pftrigger_find_agent, which is called once, as the library is loaded.
#pragma once
#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE in the target's cSettings"
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PF_TRIGGER 200  // the draft has the name, no kernel a number

// Where the agent listens. length 0: no socket can have such a long name.
struct pftrigger_agent {
  struct sockaddr_un address;
  socklen_t length;
};
void pftrigger_find_agent(struct pftrigger_agent *agent);

// What socket(2) and socketpair(2) refuse before they make anything: 0 or an errno.
int pftrigger_refusal(int type, int protocol);
// socket(2): a descriptor or a negative errno.
int pftrigger_open(int type, int protocol, const struct pftrigger_agent *agent);
// Whether this descriptor is a socket of the family: one system call.
bool pftrigger_is(int fd);

// getsockopt(2): the errno with which an option of SOL_SOCKET is refused on a socket of the family, else 0; and what
// stands there after the kernel wrote `length` bytes.
int pftrigger_refused_option(int fd, int name);
void pftrigger_correct_option(int fd, int name, void *value, socklen_t length);

// After a message was received with its sender's address, of `*length` bytes, of which `room` fitted.
void pftrigger_conceal_sender(int fd, void *address, socklen_t room, socklen_t *length);

// syscall(2), which is variadic: what the kernel said, a negative errno for an error.
static inline long pftrigger_system_call(long number, long first, long second, long third) {
  int kept = errno;
  long result = syscall(number, first, second, third);
  if (result == -1) result = -errno;
  errno = kept;
  return result;
}
