// The C library and the kernel's interface as Swift sees them. What Swift's importer passes over (macros with
// arguments, variadic functions, transparent unions, atomics on foreign memory) stands below as inline functions.
// Whoever imports this defines _GNU_SOURCE on the command line (cSettings): a header that defines it comes too late.
// Without it the functions are missing: a package that uses the library MIF loads this file along with it, and calls none.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <linux/capability.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/inet_diag.h>
#include <linux/net_tstamp.h>
#include <linux/netlink.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/xfrm.h>

#ifdef _GNU_SOURCE

// errno is a macro around a function call.
static inline int clinux_errno(void) { return errno; }
static inline void clinux_set_errno(int number) { errno = number; }

// open(2), fcntl(2) and umask-free variants of them are variadic.
static inline int clinux_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }
static inline int clinux_fcntl(int fd, int command, int argument) { return fcntl(fd, command, argument); }
static inline int clinux_fcntl_lock(int fd, int command, struct flock *lock) { return fcntl(fd, command, lock); }

// clock_gettime(2) in nanoseconds. A time_t of 32 bits ends in 2038: the C library has a second function there, whose name
// no header tells (what _TIME_BITS=64 would make of clock_gettime, and of c-ares' structures, which know nothing of it).
#if __TIMESIZE == 32
struct clinux_time { int64_t seconds; int32_t nanoseconds, padding; };
int __clock_gettime64(clockid_t clock, struct clinux_time *time);
static inline uint64_t clinux_nanoseconds(clockid_t clock) {
  struct clinux_time time = {0, 0, 0};
  __clock_gettime64(clock, &time);
  return (uint64_t)time.seconds * 1000000000 + (uint64_t)time.nanoseconds;
}
#else
static inline uint64_t clinux_nanoseconds(clockid_t clock) {
  struct timespec time = {0, 0};
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}
#endif

// SIG_IGN and SIG_DFL are casts.
static inline int clinux_ignore_signal(int number) { return signal(number, SIG_IGN) == SIG_ERR ? -1 : 0; }

static inline int clinux_default_signal(int number) { return signal(number, SIG_DFL) == SIG_ERR ? -1 : 0; }

// What waitpid(2) says.
static inline int clinux_wifexited(int status) { return WIFEXITED(status); }
static inline int clinux_wexitstatus(int status) { return WEXITSTATUS(status); }
static inline int clinux_wifsignaled(int status) { return WIFSIGNALED(status); }
static inline int clinux_wtermsig(int status) { return WTERMSIG(status); }

// st_mode.
static inline int clinux_is_directory(mode_t mode) { return S_ISDIR(mode); }
static inline int clinux_is_socket(mode_t mode) { return S_ISSOCK(mode); }

// Byte order: network to host and back.
static inline uint16_t clinux_htons(uint16_t value) { return htons(value); }
static inline uint16_t clinux_ntohs(uint16_t value) { return ntohs(value); }
static inline uint32_t clinux_htonl(uint32_t value) { return htonl(value); }
static inline uint32_t clinux_ntohl(uint32_t value) { return ntohl(value); }

// Under _GNU_SOURCE glibc declares the address argument of bind, connect and their like as a transparent union.
static inline int clinux_bind(int fd, const void *address, socklen_t length) {
  return bind(fd, (const struct sockaddr *)address, length);
}
static inline int clinux_connect(int fd, const void *address, socklen_t length) {
  return connect(fd, (const struct sockaddr *)address, length);
}
static inline int clinux_getsockname(int fd, void *address, socklen_t *length) {
  return getsockname(fd, address, length);
}
static inline int clinux_getpeername(int fd, void *address, socklen_t *length) {
  return getpeername(fd, (struct sockaddr *)address, length);
}
static inline ssize_t clinux_sendto(int fd, const void *bytes, size_t count, int flags, const void *address,
                                    socklen_t length) {
  return sendto(fd, bytes, count, flags, (const struct sockaddr *)address, length);
}
// accept4(2), without the peer's address: on a Unix socket it says nothing.
static inline int clinux_accept(int fd, int flags) { return accept4(fd, NULL, NULL, flags); }

// Fills a sockaddr_un; the length to bind or connect with, or 0 if the path does not fit with its final zero.
static inline socklen_t clinux_unix_address(struct sockaddr_un *address, const void *path, size_t length) {
  if (length >= sizeof address->sun_path) return 0;
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path, length);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
}

// cmsg(3).
static inline struct cmsghdr *clinux_cmsg_first(struct msghdr *message) { return CMSG_FIRSTHDR(message); }
static inline struct cmsghdr *clinux_cmsg_next(struct msghdr *message, struct cmsghdr *header) {
  return CMSG_NXTHDR(message, header);
}
static inline unsigned char *clinux_cmsg_data(struct cmsghdr *header) { return CMSG_DATA(header); }
static inline size_t clinux_cmsg_space(size_t length) { return CMSG_SPACE(length); }
static inline size_t clinux_cmsg_length(size_t length) { return CMSG_LEN(length); }

// One datagram with descriptors beside it (SCM_RIGHTS), three at most.
static inline ssize_t clinux_send_descriptors(int fd, const void *bytes, size_t count, const int *passed, size_t number,
                                              int flags) {
  struct iovec part = {(void *)bytes, count};
  union { char bytes[CMSG_SPACE(3 * sizeof(int))]; struct cmsghdr aligned; } control;
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (number > 0) {
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(number * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(number * sizeof(int));
    memcpy(CMSG_DATA(header), passed, number * sizeof(int));
  }
  return sendmsg(fd, &message, flags | MSG_NOSIGNAL);
}
// The same with one; `passed` is -1 for none.
static inline ssize_t clinux_send_descriptor(int fd, const void *bytes, size_t count, int passed, int flags) {
  return clinux_send_descriptors(fd, bytes, count, &passed, passed >= 0, flags);
}
// Messages that lie in one memory, each by itself (sendmmsg(2)): how many went, or -1 where not even the first did. A place
// is an offset and a length.
enum { clinux_most_messages = 16 };
static inline int clinux_send_messages(int fd, const uint8_t *memory, const void *places, size_t count, int flags) {
  const uint32_t(*place)[2] = places;
  struct iovec parts[clinux_most_messages];
  struct mmsghdr messages[clinux_most_messages];
  if (count > clinux_most_messages) count = clinux_most_messages;
  for (size_t i = 0; i < count; i++) {
    parts[i] = (struct iovec){(void *)(memory + place[i][0]), place[i][1]};
    messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
  }
  return sendmmsg(fd, messages, (unsigned)count, flags | MSG_NOSIGNAL);
}
// There is room for `room` descriptors, three at most, without CMSG_SPACE's padding, which would hold one more: nobody
// would close that. What has no room the kernel doesn't even install. Where fewer came the others are -1.
static inline ssize_t clinux_receive_descriptors(int fd, void *bytes, size_t count, int *passed, size_t room, int flags) {
  struct iovec part = {bytes, count};
  union { char bytes[CMSG_LEN(3 * sizeof(int))]; struct cmsghdr aligned; } control;
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                           .msg_controllen = CMSG_LEN(room * sizeof(int))};
  for (size_t i = 0; i < room; i++) passed[i] = -1;
  ssize_t received = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
  struct cmsghdr *header = received < 0 ? NULL : CMSG_FIRSTHDR(&message);
  if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len <= CMSG_LEN(room * sizeof(int)))
    memcpy(passed, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
  return received;
}
static inline ssize_t clinux_receive_descriptor(int fd, void *bytes, size_t count, int *passed, int flags) {
  return clinux_receive_descriptors(fd, bytes, count, passed, 1, flags);
}

// The oldest entry of a socket's error queue (ip(7), IP_RECVERR) and the address of who sent the error, all zeros where
// that is not known. How many bytes of the packet's own contents are quoted and fitted into `quoted`, or -1 with EAGAIN
// where the queue is empty.
static inline ssize_t clinux_receive_error(int fd, struct sock_extended_err *error, struct sockaddr_storage *offender,
                                           void *quoted, size_t room) {
  union { char bytes[512]; struct cmsghdr aligned; } control;
  struct iovec part = {quoted, room};
  struct msghdr message = {
    .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  memset(error, 0, sizeof *error);
  memset(offender, 0, sizeof *offender);
  ssize_t length = recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
  if (length < 0) return -1;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    int is_ipv4 = header->cmsg_level == SOL_IP && header->cmsg_type == IP_RECVERR;
    int is_ipv6 = header->cmsg_level == SOL_IPV6 && header->cmsg_type == IPV6_RECVERR;
    if (!is_ipv4 && !is_ipv6) continue;
    size_t size = is_ipv4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (header->cmsg_len < CMSG_LEN(sizeof *error)) continue;
    memcpy(error, CMSG_DATA(header), sizeof *error);
    if (header->cmsg_len >= CMSG_LEN(sizeof *error + size)) memcpy(offender, CMSG_DATA(header) + sizeof *error, size);
  }
  return length;
}

// A link up or down by its index (SIOCSIFFLAGS); errno, 0 for done.
static inline int clinux_set_link(unsigned index, int up) {
  struct ifreq request = {0};
  if (!if_indextoname(index, request.ifr_name)) return ENODEV;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  int failure = ioctl(fd, SIOCGIFFLAGS, &request) != 0 ? errno : 0;
  if (!failure && !(request.ifr_flags & IFF_UP) != !up) {
    request.ifr_flags ^= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0) failure = errno;
  }
  close(fd);
  return failure;
}
// The six bytes of an Ethernet address (SIOCGIFHWADDR); -1 where the link has another kind, or none.
static inline int clinux_ethernet_address(unsigned index, unsigned char *address) {
  struct ifreq request = {0};
  if (!if_indextoname(index, request.ifr_name)) return -1;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int failure = ioctl(fd, SIOCGIFHWADDR, &request);
  close(fd);
  if (failure || request.ifr_hwaddr.sa_family != ARPHRD_ETHER) return -1;
  memcpy(address, request.ifr_hwaddr.sa_data, 6);
  return 0;
}

// Starts a program with two arguments as a session of its own, away from everything that this process has: no
// descriptor but /dev/null and the log, no environment but a path, no signal blocked or ignored. errno, 0 for done.
static inline int clinux_spawn(pid_t *process, const char *path, const char *first, const char *second) {
  char *const arguments[] = {(char *)path, (char *)first, (char *)second, NULL};
  char *const environment[] = {(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t every, none;
  sigfillset(&every);
  sigemptyset(&none);
  int failure = posix_spawn_file_actions_init(&actions);
  if (failure) return failure;
  failure = posix_spawnattr_init(&attributes);
  if (!failure) failure = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (!failure) failure = posix_spawn_file_actions_adddup2(&actions, 2, 1);
  if (!failure) failure = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  if (!failure) failure = posix_spawn_file_actions_addchdir_np(&actions, "/");
  if (!failure) failure = posix_spawnattr_setsigdefault(&attributes, &every);
  if (!failure) failure = posix_spawnattr_setsigmask(&attributes, &none);
  if (!failure)
    failure = posix_spawnattr_setflags(&attributes,
                                       POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
  if (!failure) failure = posix_spawn(process, path, &actions, &attributes, arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return failure;
}

static inline void clinux_raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Swift marks fork unavailable; the caller has one thread and takes care of what the child inherits.
static inline pid_t clinux_fork(void) { return fork(); }

// Every group but one given up, then the user; the capabilities go with user 0.
static inline int clinux_become(uid_t user, gid_t group) {
  if (setgroups(0, NULL) != 0 || setresgid(group, group, group) != 0 || setresuid(user, user, user) != 0) return -1;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

// The same, but one capability stays.
static inline int clinux_become_keeping(uid_t user, gid_t group, unsigned capability) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2] = {{0}};
  sets[capability / 32].effective = sets[capability / 32].permitted = 1u << capability % 32;
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || clinux_become(user, group) != 0) return -1;
  return (int)syscall(SYS_capset, &header, sets);
}

// The linker's names for where a program begins and its code ends.
extern const char __executable_start[] __attribute__((weak)), etext[] __attribute__((weak));

// SO_RCVTIMEO, whose number is an expression where time_t has another width than the kernel's long. It fails for no socket.
static inline void clinux_receive_timeout(int fd, time_t seconds) {
  struct timeval time = {.tv_sec = seconds};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
}

// Memory of a list that outgrew it goes back to the system at once. By itself glibc would take larger and larger lists from
// the heap, which keeps the holes that they leave (mallopt(3), M_MMAP_THRESHOLD).
static inline void clinux_return_large_memory(void) {
  mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  // Or the first byte written to a reserved table could take 2 MB, zeroed while an event waits.
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

// What the heap has no use for now goes back as well.
static inline void clinux_trim_heap(void) { malloc_trim(0); }

// Whole pages of zeros go back, too: what is read there next is zeros again.
static inline void clinux_release_zeros(void *memory, size_t count) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t begin = ((uintptr_t)memory + page - 1) & ~(page - 1), end = ((uintptr_t)memory + count) & ~(page - 1);
  if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

// Unmaps the pages of this program's code, which are a file's: each comes back where it is used.
static inline void clinux_release_code(void) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t begin = (uintptr_t)__executable_start, end = (uintptr_t)etext & ~(page - 1);
  if (begin && begin % page == 0 && begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

// Starts a program as a session of its own with a socket as standard input, no privilege, no environment, and bounds on
// what it may use: 512 MiB of address space, ten seconds of processor time, 64 descriptors, no core. `roots` is left out
// where it is empty. The process, -1 where there is none; one that can't run the program ends with status 127.
static inline pid_t clinux_run_fetcher(int socket, const char *program, const char *directory, const char *roots,
                                       int drop, uid_t user, gid_t group) {
  char *const arguments[] = {(char *)program, (char *)directory, *roots ? (char *)roots : NULL, NULL};
  char *const environment[] = {NULL};
  pid_t process = fork();
  if (process != 0) return process;
  sigset_t none;
  sigemptyset(&none);
  for (int signal = 1; signal < NSIG; signal++) clinux_default_signal(signal);
  sigprocmask(SIG_SETMASK, &none, NULL);
  const struct { int resource; rlim_t limit; } limits[] = {
    {RLIMIT_AS, 512ul << 20}, {RLIMIT_CPU, 10}, {RLIMIT_NOFILE, 64}, {RLIMIT_CORE, 0}};
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    struct rlimit both = {limits[i].limit, limits[i].limit};
    if (setrlimit(limits[i].resource, &both) != 0) _exit(126);
  }
  int null = open("/dev/null", O_WRONLY);
  if (setsid() < 0 || dup2(socket, 0) < 0 || dup2(null, 1) < 0) _exit(126);
  if (drop ? clinux_become(user, group) != 0 : prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(126);
  close_range(3, ~0u, 0);
  execve(program, arguments, environment);
  _exit(127);
}

// A word of memory shared with another party, here the status word of a frame in a packet ring: what the other
// party wrote before its store is seen after this load, what we read is read before this store.
static inline uint32_t clinux_load_acquire(const void *word) {
  return __atomic_load_n((const uint32_t *)word, __ATOMIC_ACQUIRE);
}
static inline void clinux_store_release(void *word, uint32_t value) {
  __atomic_store_n((uint32_t *)word, value, __ATOMIC_RELEASE);
}

// The same for the numbers of a broadcast ring's slots.
static inline uint64_t clinux_load64(const void *word) { return __atomic_load_n((const uint64_t *)word, __ATOMIC_RELAXED); }
static inline uint64_t clinux_load64_acquire(const void *word) {
  return __atomic_load_n((const uint64_t *)word, __ATOMIC_ACQUIRE);
}
static inline void clinux_store64(void *word, uint64_t value) {
  __atomic_store_n((uint64_t *)word, value, __ATOMIC_RELAXED);
}
static inline void clinux_store64_release(void *word, uint64_t value) {
  __atomic_store_n((uint64_t *)word, value, __ATOMIC_RELEASE);
}
// 0 if another value stood there than `expected`.
static inline int clinux_exchange_if(void *word, uint32_t expected, uint32_t value) {
  return __atomic_compare_exchange_n((uint32_t *)word, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}
static inline void clinux_fence_acquire(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
static inline void clinux_fence_release(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }
static inline void clinux_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
// Words that another party may be reading or writing at the same moment, each of them whole; the other end is our own.
static inline void clinux_store_words(void *shared, const void *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint64_t word;
    memcpy(&word, (const char *)bytes + 8 * i, sizeof word);
    __atomic_store_n((uint64_t *)shared + i, word, __ATOMIC_RELAXED);
  }
}
static inline void clinux_load_words(void *bytes, const void *shared, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint64_t word = __atomic_load_n((const uint64_t *)shared + i, __ATOMIC_RELAXED);
    memcpy((char *)bytes + 8 * i, &word, sizeof word);
  }
}

// For a loop that looks again and again.
static inline void clinux_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// futex(2) has no wrapper. Between processes, so not FUTEX_PRIVATE_FLAG.
static inline int clinux_futex_wake(const void *word) {
  return (int)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}
static inline int clinux_futex_wait(const void *word, uint32_t expected, const struct timespec *timeout) {
  return (int)syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout, NULL, 0);
}

// mmap(2) fails with a cast of -1.
static inline void *clinux_map_shared(int fd, size_t length, int is_writable) {
  void *memory = mmap(NULL, length, is_writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

// What memfd_create(2) made can't be cut off under whoever maps it; `seals` beside.
static inline int clinux_seal(int fd, int seals) {
  return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | seals);
}
static inline int clinux_is_sealed(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
}

#endif
