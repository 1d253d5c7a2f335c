/* Frames that a router may send to a host, each with a number in it. Addresses are those of the lab's first uplink. */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include <stddef.h>
#include <stdint.h>

enum { FRAME_SIZE = 512 };

struct frame {
  uint8_t bytes[FRAME_SIZE];
  size_t length;
};

enum kind {
  /* ICMPv6 (RFC 4443 3.1) and ICMP (RFC 792) destination unreachable about a datagram of the host's; the number is the low
   * half of the destination's address. */
  ICMP6,
  ICMP4,
  /* A Router Advertisement (RFC 4861 4.2) with a prefix and a DNS server; the number is in the prefix's reserved field, and whether
   * it is odd is said by the hop limit: one after the other, each changes what was advertised. */
  ADVERTISEMENT,
  /* A DHCPACK (RFC 2131); the number is the transaction's. */
  DHCP4,
  /* UDP to all nodes, for nobody: what every interface hears. */
  NOISE,
  /* UDP that the host only forwards. */
  TRANSIT,
};

enum flaw {
  RIGHT,
  /* The quoted packet is from an address that is not the host's. */
  SPOOFED,
  /* One byte, another one each time, is not what it was. */
  MUTATED,
};

struct path {
  uint8_t host_mac[6], router_mac[6];
  uint8_t host6[16], router6[16], host4[4], router4[4];
  /* Of the host's UDP socket that the errors are about, host order. */
  uint16_t port;
};

/* -1 for a name that there isn't. */
int kind_named(const char *name);
/* Makes the frame numbered `number`. */
void frame_make(struct frame *frame, enum kind kind, enum flaw flaw, const struct path *path, uint32_t number);
/* The number in an IP packet of a kind that `frame_make` made, -1 if it has none. */
int64_t frame_number(const uint8_t *packet, size_t length);

#endif
