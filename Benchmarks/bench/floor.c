/* The floor: the least that a program can do between the network and a reader. One thread hears Router Advertisements and
 * ICMPv6 errors, behind the kind of filter that the agent has, and sends the start of each packet on to whoever has
 * connected to a SOCK_SEQPACKET socket. It knows nothing and keeps nothing.
 *
 * `--via` says how it hears: recvmsg, v2 and v3 (TPACKET rings with poll), v2-spin (the same without poll, so that it never
 * sleeps), loop (as whoever waits for more than packets: two v2 rings of all protocols behind an epoll), raw6 (a raw ICMPv6 socket), pcap (libpcap in immediate mode). SIGTERM ends it, and it prints how many frames it heard and how many the kernel dropped. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#ifdef WITH_PCAP
#include <pcap/pcap.h>
#endif

#include "log.h"

enum { RING = 384 << 10, BLOCK = 4096, SLOT = 2048, KEPT = 160, READERS = 1024 };

static int readers[READERS];
static int reader_count;
static uint64_t heard;
static volatile sig_atomic_t over;

static void end(int signal) {
  (void)signal;
  over = 1;
}

/* NOTIFY of an error with two addresses and its origin is 160 bytes as well. */
static void tell(const uint8_t *packet, size_t length) {
  heard++;
  for (int i = 0; i < reader_count; i++) send(readers[i], packet, length < KEPT ? length : KEPT, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Next header ICMPv6; type 1, 2, 3 or 134. */
static struct sock_filter program[] = {
  BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 58, 0, 6),
  BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 40),
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 134, 3, 0),
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 2, 0),
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 2, 1, 0),
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 3, 0, 1),
  BPF_STMT(BPF_RET | BPF_K, 0xffff),
  BPF_STMT(BPF_RET | BPF_K, 0),
};

static int packet_socket(int version, const void *ring, size_t size, int protocol) {
  int opened = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (opened < 0) fail("a packet socket");
  int yes = 1;
  if (setsockopt(opened, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes) < 0) fail("a packet socket for what comes in");
  if (ring && (setsockopt(opened, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0 ||
               setsockopt(opened, SOL_PACKET, PACKET_RX_RING, ring, (socklen_t)size) < 0))
    fail("a packet ring");
  struct sock_fprog filter = {.len = sizeof program / sizeof *program, .filter = program};
  if (setsockopt(opened, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0) fail("a packet filter");
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol)};
  if (bind(opened, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  return opened;
}

static uint64_t dropped(int socket) {
  // TPACKET_V3's has one member more.
  struct tpacket_stats_v3 statistics = {0};
  socklen_t length = sizeof statistics;
  return getsockopt(socket, SOL_PACKET, PACKET_STATISTICS, &statistics, &length) < 0 ? 0 : statistics.tp_drops;
}

static void wait_for(int socket) {
  struct pollfd waiting = {.fd = socket, .events = POLLIN};
  poll(&waiting, 1, -1);
}

static uint64_t by_recvmsg(int socket, size_t header) {
  // What is left of a header that is not handed over: its version and next header.
  uint8_t packet[2048] = {0x60, [6] = 58};
  while (!over) {
    struct iovec part = {.iov_base = packet + header, .iov_len = sizeof packet - header};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t length = recvmsg(socket, &message, 0);
    if (length > 0) tell(packet, header + (size_t)length);
  }
  return dropped(socket);
}

static uint64_t by_v2(int sleeps) {
  struct tpacket_req layout = {.tp_block_size = BLOCK, .tp_block_nr = RING / BLOCK, .tp_frame_size = SLOT, .tp_frame_nr = RING / SLOT};
  // Before the kernel's own handler, as the agent: who spins on another processor has the frame while that one runs.
  int socket = packet_socket(TPACKET_V2, &layout, sizeof layout, sleeps ? ETH_P_IPV6 : ETH_P_ALL);
  uint8_t *ring = mmap(NULL, RING, PROT_READ | PROT_WRITE, MAP_SHARED, socket, 0);
  if (ring == MAP_FAILED) fail("a packet ring");
  for (unsigned next = 0; !over; next = (next + 1) % (RING / SLOT)) {
    struct tpacket2_hdr *frame = (struct tpacket2_hdr *)(ring + next * SLOT);
    while (!(__atomic_load_n(&frame->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) {
      if (over) return dropped(socket);
      if (sleeps) wait_for(socket);
    }
    tell((uint8_t *)frame + frame->tp_net, frame->tp_snaplen);
    __atomic_store_n(&frame->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
  }
  return dropped(socket);
}

/* The second socket asks each packet as much, and takes none. */
static uint64_t by_loop(void) {
  struct tpacket_req layout = {.tp_block_size = BLOCK, .tp_block_nr = RING / BLOCK, .tp_frame_size = SLOT, .tp_frame_nr = RING / SLOT};
  int sockets[2], poll = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < 2; i++) {
    sockets[i] = packet_socket(TPACKET_V2, &layout, sizeof layout, ETH_P_ALL);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, sockets[i], &event) < 0) fail("epoll");
    program[sizeof program / sizeof *program - 2].k = 0;
  }
  uint8_t *ring = mmap(NULL, RING, PROT_READ | PROT_WRITE, MAP_SHARED, sockets[0], 0);
  if (ring == MAP_FAILED) fail("a packet ring");
  for (unsigned next = 0; !over; next = (next + 1) % (RING / SLOT)) {
    struct tpacket2_hdr *frame = (struct tpacket2_hdr *)(ring + next * SLOT);
    while (!(__atomic_load_n(&frame->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) {
      struct epoll_event events[8];
      if (over) return dropped(sockets[0]);
      epoll_wait(poll, events, 8, -1);
    }
    tell((uint8_t *)frame + frame->tp_net, frame->tp_snaplen);
    __atomic_store_n(&frame->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
  }
  return dropped(sockets[0]);
}

static uint64_t by_v3(void) {
  enum { BLOCK3 = 48 << 10 };
  struct tpacket_req3 layout = {
    .tp_block_size = BLOCK3, .tp_block_nr = RING / BLOCK3, .tp_frame_size = SLOT, .tp_frame_nr = RING / SLOT, .tp_retire_blk_tov = 1};
  int socket = packet_socket(TPACKET_V3, &layout, sizeof layout, ETH_P_IPV6);
  uint8_t *ring = mmap(NULL, RING, PROT_READ | PROT_WRITE, MAP_SHARED, socket, 0);
  if (ring == MAP_FAILED) fail("a packet ring");
  for (unsigned next = 0; !over; next = (next + 1) % (RING / BLOCK3)) {
    struct tpacket_block_desc *block = (struct tpacket_block_desc *)(ring + next * BLOCK3);
    while (!(__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) {
      if (over) return dropped(socket);
      wait_for(socket);
    }
    struct tpacket3_hdr *frame = (struct tpacket3_hdr *)((uint8_t *)block + block->hdr.bh1.offset_to_first_pkt);
    for (unsigned i = 0; i < block->hdr.bh1.num_pkts; i++) {
      tell((uint8_t *)frame + frame->tp_net, frame->tp_snaplen);
      frame = (struct tpacket3_hdr *)((uint8_t *)frame + frame->tp_next_offset);
    }
    __atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
  }
  return dropped(socket);
}

static uint64_t by_raw_socket(void) {
  int opened = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  if (opened < 0) fail("a raw ICMPv6 socket");
  struct icmp6_filter filter;
  ICMP6_FILTER_SETBLOCKALL(&filter);
  for (int type = 1; type <= 3; type++) ICMP6_FILTER_SETPASS(type, &filter);
  ICMP6_FILTER_SETPASS(134, &filter);
  if (setsockopt(opened, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter) < 0) fail("a filter of ICMPv6 types");
  return by_recvmsg(opened, 40);
}

#ifdef WITH_PCAP
static uint64_t by_pcap(const char *interface) {
  char reason[PCAP_ERRBUF_SIZE];
  struct bpf_program filter;
  pcap_t *capture = pcap_create(interface, reason);
  if (!capture || pcap_set_snaplen(capture, 2048) || pcap_set_immediate_mode(capture, 1) || pcap_set_timeout(capture, 1000) ||
      pcap_activate(capture) || pcap_compile(capture, &filter, "icmp6[0]=1 or icmp6[0]=2 or icmp6[0]=3 or icmp6[0]=134", 1, 0) ||
      pcap_setfilter(capture, &filter)) {
    fprintf(stderr, "floor: libpcap: %s\n", capture ? pcap_geterr(capture) : reason);
    exit(1);
  }
  struct pcap_pkthdr *header;
  const uint8_t *frame;
  while (!over)
    if (pcap_next_ex(capture, &header, &frame) == 1 && header->caplen > 14) tell(frame + 14, header->caplen - 14);
  struct pcap_stat statistics = {0};
  pcap_stats(capture, &statistics);
  return statistics.ps_drop;
}
#endif

static void accept_readers(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    fail(path);
  }
  strcpy(address.sun_path, path);
  int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  unlink(path);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, READERS) < 0) fail(path);
  for (int i = 0; i < reader_count; i++)
    if ((readers[i] = accept(listener, NULL, NULL)) < 0) fail("accept");
  close(listener);
}

int main(int count, char **arguments) {
  const char *via = "recvmsg", *path = NULL, *interface = NULL;
  static const struct option options[] = {
    {"via", 1, 0, 'v'}, {"socket", 1, 0, 's'}, {"readers", 1, 0, 'r'}, {"interface", 1, 0, 'i'}, {0, 0, 0, 0}};
  for (int option; (option = getopt_long(count, arguments, "v:s:r:i:", options, NULL)) != -1;) switch (option) {
      case 'v': via = optarg; break;
      case 's': path = optarg; break;
      case 'r': reader_count = (int)number(optarg); break;
      case 'i': interface = optarg; break;
      default: return 2;
    }
  if (reader_count > READERS || (reader_count && !path)) {
    fprintf(stderr, "floor: at most %d readers, at a --socket\n", READERS);
    return 2;
  }
  // No SA_RESTART: the signal ends the call that waits.
  struct sigaction action = {.sa_handler = end};
  sigaction(SIGTERM, &action, NULL);
  if (reader_count) accept_readers(path);
  uint64_t lost = 0;
  if (!strcmp(via, "recvmsg")) lost = by_recvmsg(packet_socket(0, NULL, 0, ETH_P_IPV6), 0);
  else if (!strcmp(via, "v2")) lost = by_v2(1);
  else if (!strcmp(via, "v2-spin")) lost = by_v2(0);
  else if (!strcmp(via, "loop")) lost = by_loop();
  else if (!strcmp(via, "v3")) lost = by_v3();
  else if (!strcmp(via, "raw6")) lost = by_raw_socket();
#ifdef WITH_PCAP
  else if (!strcmp(via, "pcap") && interface) lost = by_pcap(interface);
#endif
  else {
    fprintf(stderr, "floor: can't hear via '%s'\n", via);
    return 2;
  }
  (void)interface;
  printf("{\"heard\": %llu, \"dropped\": %llu}\n", (unsigned long long)heard, (unsigned long long)lost);
  return 0;
}
