/* The same socket through other descriptors, in other processes, in other threads and in signal handlers. */
#include "pf_trigger.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

/* What is ours answers so. */
static void check_family(int fd) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  REFUSED(bind(fd, (struct sockaddr *)&address, sizeof address), EOPNOTSUPP);
  REFUSED(shutdown(fd, SHUT_RDWR), EOPNOTSUPP);
  REFUSED(listen(fd, 1), EOPNOTSUPP);
  REFUSED(accept(fd, NULL, NULL), EOPNOTSUPP);
  check_works(fd);
}

static void check_child(pid_t child) {
  int status;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void across_fork(char **arguments) {
  (void)arguments;
  int fd = open_trigger_socket();
  pid_t child = fork();
  if (child == 0) {
    check_family(fd);
    CHECK(close(fd) == 0);
    REFUSED(bind(fd, NULL, 0), EBADF);
    int own = open_trigger_socket();
    check_family(own);
    exit(0);
  }
  check_child(child);
  check_family(fd);
}

static void across_dup(char **arguments) {
  (void)arguments;
  int fd = open_trigger_socket();
  int copies[] = {dup(fd), dup2(fd, 100), dup3(fd, 101, O_CLOEXEC), fcntl(fd, F_DUPFD, 200),
                  fcntl(fd, F_DUPFD_CLOEXEC, 300)};
  CHECK(close(fd) == 0);
  for (size_t index = 0; index < sizeof copies / sizeof *copies; index++) {
    CHECK(copies[index] >= 0);
    check_family(copies[index]);
    /* The number now belongs to another socket, which is that one's from the first moment on. */
    int other = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(dup2(other, copies[index]) == copies[index] && listen(copies[index], 1) == 0);
    CHECK(close(other) == 0 && close(copies[index]) == 0);
  }
  CHECK(fd == socket(AF_INET, SOCK_STREAM, 0) && listen(fd, 1) == 0);
}

/* In a program that was executed: with the library, and without. */
static void inherited(char **arguments) { check_family(atoi(arguments[0])); }

static void inherited_without(char **arguments) {
  int fd = atoi(arguments[0]);
  REFUSED(socket(PF_TRIGGER, SOCK_RAW, 0), EAFNOSUPPORT);
  check_works(fd);
  /* Here it shows what it is made of: a Unix socket whose name says what it was. */
  struct sockaddr_un name;
  socklen_t length = sizeof name;
  CHECK(getsockname(fd, (struct sockaddr *)&name, &length) == 0 && name.sun_family == AF_UNIX);
  CHECK(memcmp(name.sun_path, "\0PF_TRIGGER/", 12) == 0);
}

static void across_exec(char **arguments) {
  (void)arguments;
  int fd = open_trigger_socket();
  char number[12];
  snprintf(number, sizeof number, "%d", fd);
  for (int with = 0; with < 2; with++) {
    pid_t child = vfork();
    if (child == 0) {
      if (with) execl("/proc/self/exe", "pf_trigger_shared", "inherited", number, (char *)NULL);
      char *none[] = {NULL}, *other[] = {"pf_trigger_shared", "inherited_without", number, NULL};
      execve("/proc/self/exe", other, none);
      _exit(3);
    }
    check_child(child);
  }
  int closing = socket(PF_TRIGGER, SOCK_RAW | SOCK_CLOEXEC, 0);
  pid_t child = vfork();
  if (child == 0) {
    /* socket(2) may be called here too. */
    int own = socket(PF_TRIGGER, SOCK_RAW, 0);
    if (own < 0 || dup2(own, 50) < 0) _exit(4);
    execl("/proc/self/exe", "pf_trigger_shared", "inherited", "50", (char *)NULL);
    _exit(3);
  }
  check_child(child);
  check_family(closing);
}

static void across_processes(char **arguments) {
  (void)arguments;
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr aligned;
  } control;
  char byte = 'x';
  struct iovec part = {&byte, 1};
  struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  pid_t child = fork();
  if (child == 0) {
    /* So that the end is read, and not waited for, where the parent fails. */
    close(pair[0]);
    CHECK(recvmsg(pair[1], &header, 0) == 1 && CMSG_FIRSTHDR(&header)->cmsg_type == SCM_RIGHTS);
    int passed;
    memcpy(&passed, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof passed);
    check_family(passed);
    exit(0);
  }
  int fd = open_trigger_socket();
  struct cmsghdr *carrier = CMSG_FIRSTHDR(&header);
  *carrier = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  memcpy(CMSG_DATA(carrier), &fd, sizeof fd);
  CHECK(sendmsg(pair[0], &header, 0) == 1 && close(fd) == 0);
  check_child(child);
}

static void *thread_of_its_own(void *shared) {
  for (int round = 0; round < 50; round++) {
    int fd = open_trigger_socket();
    check_family(fd);
    REFUSED(listen(*(int *)shared, 1), EOPNOTSUPP);
    CHECK(close(fd) == 0);
  }
  return NULL;
}

static void across_threads(char **arguments) {
  (void)arguments;
  pthread_t threads[8];
  int shared = open_trigger_socket();
  for (int index = 0; index < 8; index++) CHECK(pthread_create(&threads[index], NULL, thread_of_its_own, &shared) == 0);
  for (int index = 0; index < 8; index++) CHECK(pthread_join(threads[index], NULL) == 0);
  check_family(shared);
}

/* socket(2) is async-signal-safe: here it interrupts malloc(3), and itself. */
static volatile sig_atomic_t opened;

static void open_in_handler(int number) {
  (void)number;
  int kept = errno;
  int fd = socket(PF_TRIGGER, SOCK_RAW, 0);
  if (fd < 0 || bind(fd, NULL, 0) != -1 || errno != EOPNOTSUPP || close(fd) != 0) _exit(5);
  opened++;
  errno = kept;
}

static void in_signal_handler(char **arguments) {
  (void)arguments;
  struct sigaction action = {.sa_handler = open_in_handler};
  CHECK(sigaction(SIGALRM, &action, NULL) == 0);
  struct itimerval often = {{0, 500}, {0, 500}};
  CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
  while (opened < 500) {
    free(malloc(100000));
    int fd = open_trigger_socket();
    CHECK(close(fd) == 0);
  }
}

/* Descriptors end: the error of socket(2), and none is lost. */
static void without_descriptors(char **arguments) {
  (void)arguments;
  struct rlimit limit = {20, 20};
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  int last = 0;
  for (int fd; (fd = socket(PF_TRIGGER, SOCK_RAW, 0)) >= 0;) last = fd;
  CHECK(errno == EMFILE && last == 19);
  CHECK(close(last) == 0);
  for (int round = 0; round < 100; round++) {
    REFUSED(socket(PF_TRIGGER, SOCK_RAW, 7), EPROTONOSUPPORT);
    CHECK(open_trigger_socket() == last && close(last) == 0);
  }
}

/* The agent ends, at the line that is read: the end of the file on this socket, EPIPE without SIGPIPE; then it is there
   again. */
static void at_the_end(char **arguments) {
  (void)arguments;
  char line[8];
  int fd = open_trigger_socket();
  ask(fd, TDB_REGISTER, BARE, 1, 0, 0);
  puts("open");
  CHECK(fflush(stdout) == 0 && fgets(line, sizeof line, stdin));
  struct pollfd question = {.fd = fd, .events = POLLIN};
  CHECK(poll(&question, 1, 5000) == 1 && question.revents & POLLIN && question.revents & POLLHUP);
  struct message message = request(TDB_GET, SHORT, 2, 0, 1);
  REFUSED(send(fd, &message, SHORT, 0), EPIPE);
  REFUSED(write(fd, &message, SHORT), EPIPE);
  CHECK(recv(fd, &message, sizeof message, 0) == 0);
  REFUSED(bind(fd, NULL, 0), EOPNOTSUPP);
  REFUSED(accept(fd, NULL, NULL), EOPNOTSUPP);
  REFUSED(socket(PF_TRIGGER, SOCK_RAW, 0), EAFNOSUPPORT);
  puts("ended");
  CHECK(fflush(stdout) == 0 && fgets(line, sizeof line, stdin));
  REFUSED(send(fd, &message, SHORT, 0), EPIPE);
  CHECK(close(fd) == 0 && open_trigger_socket() == fd);
  check_family(fd);
}

/* The agent does not accept until the line that is read; many wait there. Signals come meanwhile. */
static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void ignore(int number) { (void)number; }

static void *resume_agent(void *unused) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, NULL);
  usleep(300000);
  puts("resume");
  fflush(stdout);
  return unused;
}

static void while_agent_is_busy(char **arguments) {
  (void)arguments;
  struct sigaction action = {.sa_handler = ignore};
  CHECK(sigaction(SIGALRM, &action, NULL) == 0);
  struct itimerval often = {{0, 20000}, {0, 20000}};
  CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
  double start = 0;
  int first = -1, fd, count = 0;
  do {
    start = seconds();
    fd = socket(PF_TRIGGER, SOCK_RAW | SOCK_NONBLOCK, 0);
    if (first < 0) first = fd;
  } while (fd >= 0 && count++ < 500);
  CHECK(fd == -1 && errno == ENOBUFS);
  CHECK(seconds() - start > 0.9 && seconds() - start < 1.5);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, resume_agent, NULL) == 0);
  start = seconds();
  fd = open_trigger_socket();
  CHECK(seconds() - start > 0.2 && pthread_join(thread, NULL) == 0);
  struct itimerval never = {{0, 0}, {0, 0}};
  CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
  check_family(fd);
}

int main(int count, char **arguments) {
  static const struct part parts[] = {
      {"fork", across_fork},
      {"dup", across_dup},
      {"exec", across_exec},
      {"inherited", inherited},
      {"inherited_without", inherited_without},
      {"processes", across_processes},
      {"threads", across_threads},
      {"signals", in_signal_handler},
      {"descriptors", without_descriptors},
      {"end", at_the_end},
      {"busy", while_agent_is_busy},
  };
  (void)count;
  return run_part(parts, sizeof parts / sizeof *parts, arguments);
}
