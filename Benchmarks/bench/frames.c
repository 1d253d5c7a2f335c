#include "frames.h"

#include <arpa/inet.h>
#include <string.h>

enum { ETHERNET = 14, IP6 = 40, IP4 = 20, UDP = 8, ICMP = 8 };

static void put16(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value & 0xffff);
}

static uint32_t get32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* RFC 1071, in whichever byte order the machine has. */
static uint32_t sum(const uint8_t *bytes, size_t length) {
  uint32_t total = 0;
  for (; length > 1; bytes += 2, length -= 2) {
    uint16_t word;
    memcpy(&word, bytes, 2);
    total += word;
  }
  return length ? total + (uint32_t)htons((uint16_t)(*bytes << 8)) : total;
}

static void put_checksum(uint8_t *at, uint32_t total) {
  total = (total & 0xffff) + (total >> 16);
  total = (total & 0xffff) + (total >> 16);
  uint16_t checksum = (uint16_t)~total;
  memcpy(at, &checksum, 2);
}

static void ip6(uint8_t *at, const uint8_t *source, const uint8_t *destination, int next, int hops, size_t payload) {
  put32(at, 6u << 28);
  put16(at + 4, (uint32_t)payload);
  at[6] = (uint8_t)next;
  at[7] = (uint8_t)hops;
  memcpy(at + 8, source, 16);
  memcpy(at + 24, destination, 16);
}

static void ip4(uint8_t *at, const uint8_t *source, const uint8_t *destination, int protocol, size_t payload) {
  memset(at, 0, IP4);
  at[0] = 0x45;
  put16(at + 2, (uint32_t)(IP4 + payload));
  put16(at + 6, 0x4000);
  at[8] = 64;
  at[9] = (uint8_t)protocol;
  memcpy(at + 12, source, 4);
  memcpy(at + 16, destination, 4);
  put_checksum(at + 10, sum(at, IP4));
}

static void udp(uint8_t *at, uint16_t source, uint16_t destination, size_t data) {
  put16(at, source);
  put16(at + 2, destination);
  put16(at + 4, (uint32_t)(UDP + data));
}

/* Fills in the checksum of the ICMPv6 message of an IPv6 packet (RFC 4443 2.3). */
static void seal6(uint8_t *packet, size_t message) {
  put_checksum(packet + IP6 + 2, sum(packet + 8, 32) + sum(packet + IP6, message) + htons((uint16_t)message) + htons(58));
}

static size_t icmp6(uint8_t *packet, const struct path *path, const uint8_t *quoted_source, uint32_t number) {
  enum { DATA = 8, MESSAGE = ICMP + IP6 + UDP + DATA };
  uint8_t destination[16] = {0x20, 0x01, 0x0d, 0xb8, 0xde, 0xad};
  put32(destination + 12, number);
  ip6(packet, path->router6, path->host6, 58, 64, MESSAGE);
  uint8_t *message = packet + IP6;
  message[0] = 1;
  uint8_t *quoted = message + ICMP;
  ip6(quoted, quoted_source, destination, 17, 64, UDP + DATA);
  udp(quoted + IP6, path->port, 4500, DATA);
  put16(quoted + IP6 + 6, 0x1234);
  seal6(packet, MESSAGE);
  return IP6 + MESSAGE;
}

static size_t icmp4(uint8_t *packet, const struct path *path, const uint8_t *quoted_source, uint32_t number) {
  enum { DATA = 8, MESSAGE = ICMP + IP4 + UDP + DATA };
  uint8_t destination[4];
  // 16 million destinations in 11.0.0.0/8.
  put32(destination, 11u << 24 | (number & 0xffffff));
  ip4(packet, path->router4, path->host4, 1, MESSAGE);
  uint8_t *message = packet + IP4;
  message[0] = 3;
  uint8_t *quoted = message + ICMP;
  ip4(quoted, quoted_source, destination, 17, UDP + DATA);
  udp(quoted + IP4, path->port, 4500, DATA);
  put_checksum(message + 2, sum(message, MESSAGE));
  return IP4 + MESSAGE;
}

static size_t advertisement(uint8_t *packet, const struct path *path, uint32_t number) {
  enum { HEADER = 16, PREFIX = 32, SERVER = 24, MESSAGE = HEADER + PREFIX + SERVER };
  static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
  uint8_t source[16] = {0xfe, 0x80};
  memcpy(source + 8, path->router_mac, 3);
  source[8] ^= 2;
  source[11] = 0xff;
  source[12] = 0xfe;
  memcpy(source + 13, path->router_mac + 3, 3);
  ip6(packet, source, all_nodes, 58, 255, MESSAGE);
  uint8_t *message = packet + IP6;
  message[0] = 134;
  // The hop limit is another one each time: that is the news.
  message[4] = (uint8_t)(64 + number % 2);
  put16(message + 6, 1800);
  // Neither on-link nor for autoconfiguration: the kernel tells it (ip monitor prefix) and makes nothing of it.
  uint8_t *prefix = message + HEADER;
  prefix[0] = 3;
  prefix[1] = 4;
  prefix[2] = 64;
  put32(prefix + 4, 3600);
  put32(prefix + 8, 1800);
  put32(prefix + 12, number);
  memcpy(prefix + 16, (const uint8_t[]){0x20, 0x01, 0x0d, 0xb8, 0xbe, 0xef}, 6);
  uint8_t *server = prefix + PREFIX;
  server[0] = 25;
  server[1] = 3;
  put32(server + 4, 1200);
  memcpy(server + 8, (const uint8_t[]){0x20, 0x01, 0x0d, 0xb8, 0, 53}, 6);
  server[23] = 1;
  seal6(packet, MESSAGE);
  return IP6 + MESSAGE;
}

static size_t dhcp4(uint8_t *packet, const struct path *path, uint32_t number) {
  enum { FIXED = 236, OPTIONS = 40, DATA = FIXED + OPTIONS };
  static const uint8_t everybody[4] = {255, 255, 255, 255};
  ip4(packet, path->router4, everybody, 17, UDP + DATA);
  // The checksum stays 0: there is none.
  udp(packet + IP4, 67, 68, DATA);
  uint8_t *message = packet + IP4 + UDP;
  memcpy(message, (const uint8_t[]){2, 1, 6, 0}, 4);
  put32(message + 4, number);
  memcpy(message + 16, path->host4, 4);
  memcpy(message + 28, path->host_mac, 6);
  uint8_t *options = message + FIXED;
  static const uint8_t start[] = {0x63, 0x82, 0x53, 0x63, 53, 1, 5, 51, 4, 0, 0, 0x0e, 0x10, 1, 4, 255, 255, 255, 0, 54, 4};
  memcpy(options, start, sizeof start);
  memcpy(options + sizeof start, path->router4, 4);
  options[sizeof start + 4] = 255;
  return IP4 + UDP + DATA;
}

static size_t noise(uint8_t *packet, const struct path *path, uint32_t number) {
  enum { DATA = 64 };
  static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
  ip6(packet, path->router6, all_nodes, 17, 64, UDP + DATA);
  udp(packet + IP6, 9, 9, DATA);
  put32(packet + IP6 + UDP, number);
  put_checksum(packet + IP6 + 6, sum(packet + 8, 32) + sum(packet + IP6, UDP + DATA) + htons(UDP + DATA) + htons(17));
  return IP6 + UDP + DATA;
}

/* For a network that the host is only on the way to: 65,536 destinations in 198.18.0.0/15 (RFC 2544, appendix C.2.2). */
static size_t transit(uint8_t *packet, const struct path *path, uint32_t number) {
  enum { DATA = 64 };
  const uint8_t destination[4] = {198, 18, (uint8_t)(number >> 8), (uint8_t)number};
  ip4(packet, path->router4, destination, 17, UDP + DATA);
  // The checksum stays 0: there is none.
  udp(packet + IP4, 9, 9, DATA);
  return IP4 + UDP + DATA;
}

int kind_named(const char *name) {
  static const char *const names[] = {"icmp6", "icmp4", "ra", "dhcp4", "noise", "transit"};
  for (int kind = 0; kind < (int)(sizeof names / sizeof *names); kind++)
    if (!strcmp(name, names[kind])) return kind;
  return -1;
}

void frame_make(struct frame *frame, enum kind kind, enum flaw flaw, const struct path *path, uint32_t number) {
  static const uint8_t stranger6[16] = {0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, [15] = 9}, stranger4[4] = {192, 0, 2, 9};
  uint8_t *packet = frame->bytes + ETHERNET;
  memset(frame->bytes, 0, FRAME_SIZE);
  memcpy(frame->bytes, path->host_mac, 6);
  memcpy(frame->bytes + 6, path->router_mac, 6);
  size_t length = 0;
  switch (kind) {
    case ICMP6: length = icmp6(packet, path, flaw == SPOOFED ? stranger6 : path->host6, number); break;
    case ICMP4: length = icmp4(packet, path, flaw == SPOOFED ? stranger4 : path->host4, number); break;
    case ADVERTISEMENT: length = advertisement(packet, path, number); break;
    case DHCP4: length = dhcp4(packet, path, number); break;
    case NOISE: length = noise(packet, path, number); break;
    case TRANSIT: length = transit(packet, path, number); break;
  }
  put16(frame->bytes + 12, packet[0] >> 4 == 6 ? 0x86dd : 0x0800);
  if (packet[0] >> 4 == 6 && packet[24] == 0xff) memcpy(frame->bytes, (const uint8_t[]){0x33, 0x33, 0, 0, 0, 1}, 6);
  if (flaw == MUTATED) packet[(number * 7919u) % length] ^= (uint8_t)(1 + number % 255);
  frame->length = ETHERNET + length;
}

int64_t frame_number(const uint8_t *packet, size_t length) {
  if (length < IP4) return -1;
  if (packet[0] >> 4 == 4) {
    size_t at = packet[9] == 1 ? IP4 + ICMP + 16 : IP4 + UDP + 4;
    if (length < at + 4) return -1;
    return packet[9] == 1 ? get32(packet + at) & 0xffffff : get32(packet + at);
  }
  if (length < IP6 + ICMP || packet[6] != 58) return -1;
  size_t at = packet[IP6] == 134 ? IP6 + 16 + 12 : IP6 + ICMP + 24 + 12;
  return length < at + 4 ? -1 : (int64_t)get32(packet + at);
}
