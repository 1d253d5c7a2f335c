/*
 * libmif's sessions against a living agent.
 *
 *   session RUNTIME-DIR EMPTY-DIR
 *
 * The agent runs in RUNTIME-DIR, knows the loopback interface, and lets this process write.
 */
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <mif.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { SOON = 5000, OWN_TYPE = 4660, MANY = 300, SLEPT_THROUGH = 3000 };

static struct trigger_address v4, v6;

static double seconds(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct trigger_session *open_session(const char *directory)
{
  struct trigger_options options = {.size = sizeof options, .runtime_dir = directory};
  struct trigger_session *session = trigger_open(&options);
  CHECK(session != NULL);
  CHECK(fcntl(trigger_fd(session), F_GETFD) == FD_CLOEXEC);
  return session;
}

/* The next event, which is of this kind. */
static const struct trigger_event *expect(struct trigger_session *session, enum trigger_event_kind kind)
{
  const struct trigger_event *event = trigger_next(session, SOON);
  CHECK(event != NULL);
  if (event->kind != kind) fprintf(stderr, "event %d instead of %d\n", event->kind, kind);
  CHECK(event->kind == kind);
  return event;
}

static void expect_silence(struct trigger_session *session)
{
  errno = 0;
  CHECK(trigger_next(session, 0) == NULL && errno == EAGAIN);
}

/* As a program with a loop of its own does it. */
static const struct trigger_event *poll_next(struct trigger_session *session)
{
  struct pollfd ready = {.fd = trigger_fd(session), .events = POLLIN};
  for (int i = 0; i < 100; i++) {
    CHECK(poll(&ready, 1, SOON) == 1);
    const struct trigger_event *event = trigger_next(session, 0);
    if (event) return event;
    CHECK(errno == EAGAIN);
  }
  CHECK(!"readable a hundred times for nothing");
  return NULL;
}

static int has_v4_and_v6(const struct trigger_record *trigger)
{
  return trigger->address_count == 2 && memcmp(&trigger->addresses[0], &v4, sizeof v4) == 0 &&
         memcmp(&trigger->addresses[1], &v6, sizeof v6) == 0;
}

static void check_opening(const char *directory, const char *empty)
{
  struct trigger_options options = {.size = sizeof options, .runtime_dir = empty};
  errno = 0;
  CHECK(trigger_open(&options) == NULL && errno == ENOENT);
  setenv("MIFD_RUNTIME_DIR", empty, 1);
  CHECK(trigger_open(NULL) == NULL && errno == ENOENT);
  setenv("MIFD_RUNTIME_DIR", directory, 1);
  struct trigger_session *session = trigger_open(NULL);
  CHECK(session != NULL);
  trigger_close(session);

  options.flags = 0x80000000;
  CHECK(trigger_open(&options) == NULL && errno == EINVAL);
  options.flags = 0;
  options.size = 1;
  CHECK(trigger_open(&options) == NULL && errno == EINVAL);
  struct {
    struct trigger_options options;
    uint64_t later;
  } larger = {.options = {.size = sizeof larger, .runtime_dir = directory}};
  session = trigger_open(&larger.options);
  CHECK(session != NULL);
  trigger_close(session);
  larger.later = 1;
  CHECK(trigger_open(&larger.options) == NULL && errno == E2BIG);
  options.size = sizeof options;
  char longish[200];
  memset(longish, 'x', sizeof longish - 1);
  longish[sizeof longish - 1] = 0;
  options.runtime_dir = longish;
  CHECK(trigger_open(&options) == NULL && errno == ENAMETOOLONG);

  options.runtime_dir = empty;
  options.flags = TRIGGER_OPEN_WAIT;
  session = trigger_open(&options);
  CHECK(session != NULL);
  CHECK(trigger_register(session, NULL, 100) == 0);
  REFUSED(trigger_add(session, OWN_TYPE, NULL, 0, NULL, 100), ENOTCONN);
  expect_silence(session);
  errno = 7;
  trigger_close(session);
  trigger_close(NULL);
  CHECK(errno == 7);
}

static void check_waiting(struct trigger_session *session)
{
  double began = seconds();
  errno = 0;
  CHECK(trigger_next(session, 60) == NULL && errno == EAGAIN);
  CHECK(seconds() - began >= 0.06);
}

static volatile sig_atomic_t rung;

static void ring(int number) { rung = number; }

static void check_interruption(struct trigger_session *session)
{
  struct sigaction action = {.sa_handler = ring};
  struct itimerval soon = {.it_value = {.tv_usec = 50000}};
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &soon, NULL);
  errno = 0;
  CHECK(trigger_next(session, -1) == NULL && errno == EINTR && rung == SIGALRM);
}

/* What exists, and that it is whole: the loopback interface at least. */
static void check_replay(struct trigger_session *session)
{
  int loopback = 0;
  CHECK(trigger_register(session, NULL, SOON) == 0);
  const struct trigger_event *event;
  while ((event = poll_next(session))->kind == TRIGGER_ADDED) {
    const struct trigger_record *trigger = event->trigger;
    CHECK(trigger->id != 0 && trigger->has_origin);
    if (trigger->type == TDB_TTYPE_IF_ADDED && strcmp(trigger->origin.tdb_origin_ifname, "lo") == 0) {
      CHECK(trigger->origin.tdb_origin_source == TDB_SOURCE_KERNEL && trigger->origin.tdb_origin_ifindex == 1);
      loopback = 1;
    }
  }
  CHECK(event->kind == TRIGGER_IN_STEP && event->trigger == NULL && loopback);
}

static void check_requests(struct trigger_session *session)
{
  const struct trigger_address both[] = {v4, v6};
  struct trigger_record trigger;
  uint32_t id = 0;
  CHECK(trigger_add(session, OWN_TYPE, both, 2, &id, SOON) == 0 && id != 0);
  const struct trigger_event *event = expect(session, TRIGGER_ADDED);
  CHECK(event->trigger->id == id && event->trigger->type == OWN_TYPE && has_v4_and_v6(event->trigger));
  CHECK(event->trigger->origin.tdb_origin_source == TDB_SOURCE_CLIENT);

  memset(&trigger, 0xa5, sizeof trigger);
  CHECK(trigger_get(session, id, &trigger, SOON) == 0);
  CHECK(trigger.id == id && trigger.type == OWN_TYPE && has_v4_and_v6(&trigger) && trigger.has_origin);

  CHECK(trigger_modify(session, id, OWN_TYPE + 1, NULL, 0, SOON) == 0);
  event = expect(session, TRIGGER_MODIFIED);
  CHECK(event->former == id && event->trigger->id == id && event->trigger->type == OWN_TYPE + 1);
  CHECK(has_v4_and_v6(event->trigger));
  CHECK(trigger_modify(session, id, OWN_TYPE + 1, &v6, 1, SOON) == 0);
  event = expect(session, TRIGGER_MODIFIED);
  CHECK(event->trigger->address_count == 1);

  CHECK(trigger_delete(session, id, SOON) == 0);
  event = expect(session, TRIGGER_DELETED);
  CHECK(event->trigger->id == id && event->trigger->origin.tdb_origin_reason == TDB_REASON_DELETED);
  REFUSED(trigger_get(session, id, &trigger, SOON), ENOENT);
  REFUSED(trigger_delete(session, id, SOON), ENOENT);

  struct trigger_address strange = v4, sixteen[TDB_ADDRESSES_MAX + 1];
  strange.address.ss_family = AF_UNIX;
  REFUSED(trigger_add(session, OWN_TYPE, &strange, 1, NULL, SOON), EAFNOSUPPORT);
  strange = v4;
  strange.prefix_length = 33;
  REFUSED(trigger_add(session, OWN_TYPE, &strange, 1, NULL, SOON), EINVAL);
  REFUSED(trigger_add(session, 0, NULL, 0, NULL, SOON), EINVAL);
  for (int i = 0; i < TDB_ADDRESSES_MAX + 1; i++) sixteen[i] = v6;
  REFUSED(trigger_add(session, OWN_TYPE, sixteen, TDB_ADDRESSES_MAX + 1, NULL, SOON), EINVAL);
  CHECK(trigger_add(session, OWN_TYPE, sixteen, TDB_ADDRESSES_MAX, &id, SOON) == 0);
  CHECK(expect(session, TRIGGER_ADDED)->trigger->address_count == TDB_ADDRESSES_MAX);
  CHECK(trigger_delete(session, id, SOON) == 0);
  expect(session, TRIGGER_DELETED);
  expect_silence(session);
}

/* Events that come while answers are waited for are kept, and poll(2) tells of them. */
static void check_kept_events(struct trigger_session *session)
{
  uint32_t ids[10];
  for (int i = 0; i < 10; i++) CHECK(trigger_add(session, OWN_TYPE, &v4, 1, &ids[i], SOON) == 0);
  struct trigger_record last;
  CHECK(trigger_get(session, ids[9], &last, SOON) == 0);
  for (int i = 0; i < 10; i++) {
    const struct trigger_event *event = poll_next(session);
    CHECK(event->kind == TRIGGER_ADDED && event->trigger->id == ids[i]);
  }
  expect_silence(session);
  for (int i = 0; i < 10; i++) {
    CHECK(trigger_delete(session, ids[i], SOON) == 0);
    CHECK(poll_next(session)->trigger->id == ids[i]);
  }
}

/* Requests without waiting: more than the socket takes, so that some have to be put off. */
static void check_submitting(struct trigger_session *session)
{
  static uint32_t tickets[MANY], ids[MANY], told[MANY];
  int submitted = 0, answered = 0, added = 0;
  while (answered < MANY || added < MANY) {
    while (submitted < MANY && trigger_submit_add(session, OWN_TYPE, &v6, 1, &tickets[submitted]) == 0) submitted++;
    CHECK(submitted == MANY || errno == EAGAIN);
    const struct trigger_event *event = poll_next(session);
    if (event->kind == TRIGGER_ANSWER) {
      CHECK(event->error == 0 && event->ticket == tickets[answered]);
      ids[answered++] = event->trigger->id;
    } else {
      /* On the ring they overtake answers that the socket had no room for (docs/protocol.md, "Ring"). */
      CHECK(event->kind == TRIGGER_ADDED && added < MANY);
      told[added++] = event->trigger->id;
    }
  }
  CHECK(memcmp(told, ids, sizeof ids) == 0);
  uint32_t get, modify, delete, wrong;
  CHECK(trigger_submit_get(session, ids[0], &get) == 0);
  CHECK(trigger_submit_modify(session, ids[0], OWN_TYPE, &v4, 1, &modify) == 0);
  CHECK(trigger_submit_delete(session, ids[0], &delete) == 0);
  CHECK(trigger_submit_delete(session, ids[0], &wrong) == 0);
  /* Answers in their order, news in theirs; what of the one comes between the other is not said. */
  const uint32_t asked[] = {get, modify, delete, wrong};
  int answers = 0, news = 0;
  while (answers < 4 || news < 2) {
    const struct trigger_event *event = trigger_next(session, SOON);
    CHECK(event != NULL);
    if (event->kind == TRIGGER_ANSWER) {
      CHECK(answers < 4 && event->ticket == asked[answers]);
      if (answers == 0) CHECK(event->error == 0 && event->trigger->address_count == 1);
      if (answers == 3) CHECK(event->error == ENOENT && event->trigger == NULL);
      answers++;
    } else {
      CHECK(news < 2 && event->kind == (news == 0 ? TRIGGER_MODIFIED : TRIGGER_DELETED) && answers >= news + 2);
      news++;
    }
  }
  for (int i = 1; i < MANY; i++) {
    CHECK(trigger_delete(session, ids[i], SOON) == 0);
    expect(session, TRIGGER_DELETED);
  }
  expect_silence(session);
}

static void check_filter(struct trigger_session *writer, const char *directory)
{
  struct trigger_session *session = open_session(directory);
  struct trigger_filter filter = {.prefix_length = 16, .prefix = v4.address, .type_count = 2, .types = {7, OWN_TYPE}};
  CHECK(trigger_register(session, &filter, SOON) == 0);
  expect(session, TRIGGER_IN_STEP);

  uint32_t id, other;
  CHECK(trigger_add(writer, OWN_TYPE, &v6, 1, &other, SOON) == 0);
  CHECK(trigger_add(writer, OWN_TYPE, &v4, 1, &id, SOON) == 0);
  CHECK(expect(session, TRIGGER_ADDED)->trigger->id == id);

  /* Another filter: what it keeps back is gone, what it lets through is new. */
  filter.prefix = v6.address;
  CHECK(trigger_register(session, &filter, SOON) == 0);
  CHECK(expect(session, TRIGGER_ADDED)->trigger->id == other);
  CHECK(expect(session, TRIGGER_DELETED)->trigger->id == id);
  expect(session, TRIGGER_IN_STEP);
  filter.type_count = TDB_FILTER_TYPES_MAX + 1;
  REFUSED(trigger_register(session, &filter, SOON), EINVAL);
  filter.type_count = 0;
  filter.prefix_length = 129;
  REFUSED(trigger_register(session, &filter, SOON), EINVAL);
  trigger_close(session);
  CHECK(trigger_delete(writer, id, SOON) == 0 && trigger_delete(writer, other, SOON) == 0);
  for (int i = 0; i < 2; i++) expect(writer, TRIGGER_ADDED);
  for (int i = 0; i < 2; i++) expect(writer, TRIGGER_DELETED);
}

/* Takes what has come until nothing more does: how many triggers there are more than before. */
static int drain(struct trigger_session *session, int *steps)
{
  int more = 0;
  for (const struct trigger_event *event; (event = trigger_next(session, 200)) != NULL;) {
    more += (event->kind == TRIGGER_ADDED) - (event->kind == TRIGGER_DELETED);
    *steps += event->kind == TRIGGER_IN_STEP;
    CHECK(event->kind != TRIGGER_DISCONNECTED);
  }
  CHECK(errno == EAGAIN);
  return more;
}

/* A subscriber that sleeps through more than its queue holds comes into step again, and nothing is told twice. */
static void check_lost_news(const char *directory)
{
  static uint32_t ids[SLEPT_THROUGH];
  struct trigger_session *writer = open_session(directory), *sleeper = open_session(directory);
  struct trigger_filter filter = {.type_count = 1, .types = {OWN_TYPE}};
  int steps = 0;
  CHECK(trigger_register(sleeper, &filter, SOON) == 0);
  CHECK(drain(sleeper, &steps) == 0 && steps == 1);
  for (int i = 0; i < SLEPT_THROUGH; i++) CHECK(trigger_add(writer, OWN_TYPE, &v6, 1, &ids[i], SOON) == 0);
  CHECK(drain(sleeper, &steps) == SLEPT_THROUGH && steps >= 2);
  for (int i = 0; i < SLEPT_THROUGH; i++) CHECK(trigger_delete(writer, ids[i], SOON) == 0);
  CHECK(drain(sleeper, &steps) == -SLEPT_THROUGH && steps >= 3);
  trigger_close(sleeper);
  trigger_close(writer);
}

/* Messages built by hand, on a socket of our own: what a program does that uses the family's sockets. */
static void check_messages(const char *directory)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s/trigger.sock", directory);
  int socket_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  CHECK(socket_ >= 0 && connect(socket_, (struct sockaddr *)&address, sizeof address) == 0);

  unsigned char memory[TRIGGER_MESSAGE_SIZE];
  struct trigger_filter filter = {.ifindex = 1, .type_count = 1, .types = {TDB_TTYPE_IF_ADDED}};
  struct trigger_builder builder;
  struct trigger_message message;
  trigger_build_request(&builder, memory, sizeof memory, TDB_REGISTER, TDB_EXT_CAUSE | TDB_EXT_REPLAY | TDB_EXT_ORIGIN,
                        42);
  trigger_build_filter(&builder, &filter);
  ssize_t length = trigger_build_finish(&builder);
  CHECK(length > 0 && send(socket_, memory, (size_t)length, MSG_NOSIGNAL) == length);

  length = recv(socket_, memory, sizeof memory, 0);
  CHECK(trigger_parse(memory, (size_t)length, &message) == 0);
  CHECK(message.msgtype == TDB_REGISTER && message.error == 0 && message.seq == 42);
  CHECK(message.flags == (TDB_EXT_CAUSE | TDB_EXT_REPLAY | TDB_EXT_ORIGIN | TDB_EXT_FILTER));
  CHECK(message.pid == (uint32_t)getpid());
  length = recv(socket_, memory, sizeof memory, 0);
  CHECK(trigger_parse(memory, (size_t)length, &message) == 0);
  CHECK(message.msgtype == TDB_NOTIFY && message.flags == TDB_ADD && message.has_trigger);
  CHECK(strcmp(message.trigger.origin.tdb_origin_ifname, "lo") == 0);
  length = recv(socket_, memory, sizeof memory, 0);
  CHECK(trigger_parse(memory, (size_t)length, &message) == 0);
  CHECK(message.msgtype == TDB_NOTIFY && !message.has_trigger);
  close(socket_);
}

/* A thread that is cancelled while it waits in the library ends after it, and with its clean-ups. */
static int cleaned_up;

static void clean_up(void *unused)
{
  (void)unused;
  cleaned_up++;
}

static void *wait_in_vain(void *session)
{
  pthread_cleanup_push(clean_up, NULL);
  while (trigger_next(session, 200) != NULL) {}
  cleaned_up++;
  pthread_testcancel();
  pthread_cleanup_pop(0);
  return NULL;
}

static void check_cancellation(struct trigger_session *session)
{
  pthread_t thread;
  void *result;
  CHECK(pthread_create(&thread, NULL, wait_in_vain, session) == 0);
  usleep(50000);
  CHECK(pthread_cancel(thread) == 0);
  CHECK(pthread_join(thread, &result) == 0);
  CHECK(result == PTHREAD_CANCELED && cleaned_up == 2);
}

int main(int argc, char **argv)
{
  CHECK(argc == 3);
  struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(0xc0000207)}};
  struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_addr = {{{0x20, 1, 0x0d, 0xb8, [15] = 7}}}};
  CHECK(trigger_address_set(&v4, (struct sockaddr *)&sin, sizeof sin, 24) == 0);
  CHECK(trigger_address_set(&v6, (struct sockaddr *)&sin6, sizeof sin6, 64) == 0);

  /* The lowest free descriptor stays the lowest: every one was closed again. */
  int lowest = dup(STDIN_FILENO);
  close(lowest);

  check_opening(argv[1], argv[2]);
  struct trigger_session *session = open_session(argv[1]);
  check_replay(session);
  check_waiting(session);
  check_interruption(session);
  check_cancellation(session);
  check_requests(session);
  check_kept_events(session);
  check_submitting(session);
  check_filter(session, argv[1]);
  check_lost_news(argv[1]);
  check_messages(argv[1]);
  trigger_close(session);
  CHECK(dup(STDIN_FILENO) == lowest);
  puts("well");
  return 0;
}
