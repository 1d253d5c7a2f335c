/* Sends frames from a router's end of a veth pair: at a rate or flat out, and keeps when each event was sent.
 *
 * One event at a time ("paced"): frame by frame, the time right before each send(2) in the log under its number. With `--turn`
 * so many, and then none until a byte comes on standard input; one goes out when they have arrived. With `--to` it is the
 * subscriber itself, and spins until it has heard what it sent: whoever sends, whoever tells and whoever hears spin on two
 * processors without taking turns on one.
 * Flat out: sendmmsg(2) in batches past the queueing discipline; nothing is logged, the counts are printed. In the midst of it
 * a Router Advertisement each `--advertise` microseconds is logged like a paced event. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <getopt.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frames.h"
#include "log.h"
#include "ways.h"

enum { BATCH = 64 };
/* No event has this number; hear() returns -1 for none. */
enum { NONE = -2 };
/* Nanoseconds until an event that nobody has heard is lost. */
enum { LONGEST = 200000000 };

struct settings {
  const char *interface, *log;
  /* Where it hears itself, if it does. */
  const char *socket;
  enum kind kind;
  enum flaw flaw;
  struct path path;
  uint64_t count, first, period, advertise, rate, turn;
  /* How many different numbers there are: 0 for as many as frames. */
  uint64_t unique;
  /* Of 100 frames. */
  uint64_t noise;
};

static int open_socket(const char *interface) {
  // Protocol 0: it hears nothing.
  int opened = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (opened < 0) fail("a packet socket");
  int on = 1;
  setsockopt(opened, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
  if (!address.sll_ifindex || bind(opened, (struct sockaddr *)&address, sizeof address) < 0) fail(interface);
  return opened;
}

static void send_event(int socket, struct log *log, const struct frame *frame, uint32_t event) {
  if (event < log->events) {
    atomic_store(&log->next, event + 1);
    atomic_store(log_sent(log) + event, now());
  }
  if (send(socket, frame->bytes, frame->length, 0) < 0) fail("send");
}

static void wait_until(uint64_t time) {
  struct timespec until = {.tv_sec = (time_t)(time / 1000000000u), .tv_nsec = (long)(time % 1000000000u)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL)) continue;
}

/* Whether every receiver has an event. */
static bool has_arrived(struct log *log, uint32_t event) {
  for (uint32_t receiver = 0; receiver < log->receivers; receiver++)
    if (!atomic_load_explicit(log_row(log, receiver) + event, memory_order_relaxed)) return false;
  return true;
}

/* Waits for an event to have arrived, LONGEST at most. True if it took any time. */
static bool wait_for(struct log *log, uint32_t event) {
  int turn = 0;
  for (; turn < LONGEST / 1000000 && !has_arrived(log, event); turn++) wait_until(now() + 1000000);
  return turn > 0;
}

/* Hears until it has the event, or until it is time. */
static void spin(struct subscriber *subscriber, int64_t event, uint64_t until) {
  while (hear(subscriber) != event && now() < until) continue;
}

static void paced(const struct settings *settings, int socket, struct log *log, struct subscriber *subscriber) {
  struct frame frame;
  uint64_t next = now();
  for (uint64_t done = 0; done < settings->count; done++) {
    uint32_t event = (uint32_t)(settings->first + done);
    if (settings->turn && done % settings->turn == 0) {
      char go;
      if (read(STDIN_FILENO, &go, 1) != 1) return;
      next = now() + 1000000;
    }
    frame_make(&frame, settings->kind, settings->flaw, &settings->path, event);
    // Uneven, so that no clock tick of anybody's falls on every event or on none.
    next += settings->period * 1000 * (75 + ((uint64_t)event * 37) % 50) / 100;
    // One at a time: the next one waits for the last, and where that took long nothing is made up for.
    if (subscriber) {
      uint64_t time = now();
      if (next < time) next = time;
      spin(subscriber, NONE, next);
    } else {
      wait_until(next);
      if (done && wait_for(log, event - 1)) next = now();
    }
    send_event(socket, log, &frame, event);
    if (subscriber) spin(subscriber, event, now() + LONGEST);
    if (settings->turn && ((done + 1) % settings->turn == 0 || done + 1 == settings->count)) {
      if (!subscriber) wait_for(log, event);
      if (write(STDOUT_FILENO, ".", 1) != 1) fail("the turn's end");
    }
  }
}

static void flood(const struct settings *settings, int socket, struct log *log) {
  static struct frame frames[BATCH];
  struct iovec parts[BATCH];
  struct mmsghdr messages[BATCH];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < BATCH; i++) {
    parts[i].iov_base = frames[i].bytes;
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  struct frame advertisement;
  uint64_t made = 0, sent = 0, noise = 0, refused = 0;
  uint32_t event = (uint32_t)settings->first;
  const uint64_t start = now();
  uint64_t due = start + settings->advertise * 1000;
  const bool anew = settings->unique != 1 || settings->flaw == MUTATED || settings->noise;
  while (made < settings->count) {
    for (int i = 0; i < BATCH; i++) {
      if (anew || made < BATCH) {
        // Evenly among the others: the n-th frame is noise where the share so far says so.
        bool isNoise = (made + 1) * settings->noise / 100 > made * settings->noise / 100;
        uint32_t number = (uint32_t)(settings->unique ? made % settings->unique : made);
        frame_make(&frames[i], isNoise ? NOISE : settings->kind, isNoise ? RIGHT : settings->flaw, &settings->path, number);
        noise += isNoise;
      }
      parts[i].iov_len = frames[i].length;
      made++;
    }
    if (settings->rate) wait_until(start + made * 1000000000u / settings->rate);
    for (int done = 0; done < BATCH;) {
      int count = sendmmsg(socket, messages + done, (unsigned)(BATCH - done), 0);
      if (count < 0) {
        // The frame that was not taken is passed over.
        refused++;
        count = 1;
      } else {
        sent += (uint64_t)count;
      }
      done += count;
    }
    if (settings->advertise && now() >= due && event < log->events) {
      frame_make(&advertisement, ADVERTISEMENT, RIGHT, &settings->path, event);
      send_event(socket, log, &advertisement, event++);
      due += settings->advertise * 1000;
    }
  }
  uint64_t elapsed = now() - start;
  printf("{\"sent\": %llu, \"noise\": %llu, \"refused\": %llu, \"advertisements\": %llu, \"nanoseconds\": %llu}\n",
         (unsigned long long)sent, (unsigned long long)noise, (unsigned long long)refused,
         (unsigned long long)(event - settings->first), (unsigned long long)elapsed);
}

static void mac(const char *text, uint8_t *into) {
  if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", into, into + 1, into + 2, into + 3, into + 4, into + 5) != 6) {
    fprintf(stderr, "sender: '%s' is no hardware address\n", text);
    exit(2);
  }
}

static void address(int family, const char *text, uint8_t *into) {
  if (inet_pton(family, text, into) == 1) return;
  fprintf(stderr, "sender: '%s' is no address\n", text);
  exit(2);
}

int main(int count, char **arguments) {
  struct subscriber subscriber = {.spins = true};
  struct settings settings = {.kind = ICMP6, .count = 1000, .period = 1000, .path.port = 4500};
  bool flat_out = false;
  enum { LOG = 256, KIND, FIRST, PERIOD, FLAT, RATE, UNIQUE, SPOOF, MUTATE, SHARE, ADVERTISE, TURN, TO, WHERE, HMAC, RMAC, H6, R6, H4, R4, PORT };
  static const struct option options[] = {
    {"interface", 1, 0, 'i'},     {"log", 1, 0, LOG},         {"kind", 1, 0, KIND},       {"count", 1, 0, 'n'},
    {"first", 1, 0, FIRST},       {"period", 1, 0, PERIOD},   {"flood", 0, 0, FLAT},      {"rate", 1, 0, RATE},
    {"unique", 1, 0, UNIQUE},     {"spoofed", 0, 0, SPOOF},   {"mutated", 0, 0, MUTATE},  {"noise", 1, 0, SHARE},
    {"advertise", 1, 0, ADVERTISE}, {"turn", 1, 0, TURN},     {"to", 1, 0, TO},           {"socket", 1, 0, WHERE},
    {"host-mac", 1, 0, HMAC},     {"router-mac", 1, 0, RMAC}, {"host6", 1, 0, H6},
    {"router6", 1, 0, R6},        {"host4", 1, 0, H4},        {"router4", 1, 0, R4},      {"port", 1, 0, PORT},
    {0, 0, 0, 0}};
  for (int option; (option = getopt_long(count, arguments, "i:n:", options, NULL)) != -1;) switch (option) {
      case 'i': settings.interface = optarg; break;
      case 'n': settings.count = number(optarg); break;
      case LOG: settings.log = optarg; break;
      case KIND: {
        int kind = kind_named(optarg);
        if (kind < 0) {
          fprintf(stderr, "sender: --kind wants icmp6, icmp4, ra, dhcp4, noise or transit, not '%s'\n", optarg);
          return 2;
        }
        settings.kind = (enum kind)kind;
        break;
      }
      case FIRST: settings.first = number(optarg); break;
      case PERIOD: settings.period = number(optarg); break;
      case FLAT: flat_out = true; break;
      case RATE: flat_out = true, settings.rate = number(optarg); break;
      case UNIQUE: settings.unique = number(optarg); break;
      case SPOOF: settings.flaw = SPOOFED; break;
      case MUTATE: settings.flaw = MUTATED; break;
      case SHARE: settings.noise = number(optarg); break;
      case ADVERTISE: settings.advertise = number(optarg); break;
      case TURN: settings.turn = number(optarg); break;
      case TO:
        subscriber.way = way_named(optarg);
        if (!subscriber.way || !subscriber.way->spins) {
          fprintf(stderr, "sender: --to wants trigger, ring or frames, not '%s'\n", optarg);
          return 2;
        }
        break;
      case WHERE: settings.socket = optarg; break;
      case HMAC: mac(optarg, settings.path.host_mac); break;
      case RMAC: mac(optarg, settings.path.router_mac); break;
      case H6: address(AF_INET6, optarg, settings.path.host6); break;
      case R6: address(AF_INET6, optarg, settings.path.router6); break;
      case H4: address(AF_INET, optarg, settings.path.host4); break;
      case R4: address(AF_INET, optarg, settings.path.router4); break;
      case PORT: settings.path.port = (uint16_t)number(optarg); break;
      default: return 2;
    }
  if (!settings.interface || !settings.log) {
    fprintf(stderr, "sender: --interface and --log are needed\n");
    return 2;
  }
  if (!settings.socket != !subscriber.way || (settings.socket && flat_out)) {
    fprintf(stderr, "sender: --to and --socket go together, and not with --flood or --rate\n");
    return 2;
  }
  struct log *log = log_open(settings.log);
  int opened = open_socket(settings.interface);
  if (settings.socket) {
    subscriber.log = log;
    subscribe(&subscriber, settings.socket);
  }
  if (flat_out) flood(&settings, opened, log);
  else paced(&settings, opened, log, settings.socket ? &subscriber : NULL);
  return 0;
}
