/*
 * The Trigger Database's messages: draft-schilcher-mobike-trigger-api-00, version 1, and mifd's extensions.
 *
 * A message is one datagram: a header of 16 bytes, then payloads. Lengths are in units of 8 bytes and count their own
 * header and the padding, which is zeros up to a multiple of 8. Numbers are in the host's byte order; inside a sockaddr
 * port and address are in the network's. What the messages mean is in docs/protocol.md.
 *
 * C99 and C++11 or later. Needs nothing else of mifd; <mif.h> has functions on top of it.
 */
#ifndef NET_TRIGGER_H
#define NET_TRIGGER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifndef PF_TRIGGER
#define PF_TRIGGER 200
#endif
#ifndef AF_TRIGGER
#define AF_TRIGGER PF_TRIGGER
#endif

/* tdb_header_version */
#define TDB_VERSION 1

/* tdb_header_msgtype (section 5) */
#define TDB_ADD 1
#define TDB_GET 2
#define TDB_DELETE 3
#define TDB_REGISTER 4
#define TDB_NOTIFY 5
#define TDB_MODIFY 6

/* tdb_payload_type (section 5; from 0x8000 on mifd's) */
#define TDB_PT_ADDRESS 1
#define TDB_PT_TRIGGER 2
#define TDB_PT_ORIGIN 0x8001
#define TDB_PT_FILTER 0x8002
#define TDB_PT_RING 0x8003

/* tdb_trigger_type (section 3); larger ones are whoever's who adds them */
#define TDB_TTYPE_IF_ADDED 1
#define TDB_TTYPE_IF_REMOVED 2
#define TDB_TTYPE_IF_ADDRCHANGED 3
#define TDB_TTYPE_CONN_ESTABLISHED 4
#define TDB_TTYPE_CONN_LOST 5
#define TDB_TTYPE_DEST_UNREACHABLE 6

/* The longest message in bytes, the most ADDRESS payloads in one, and the most types in a FILTER. */
#define TDB_MESSAGE_MAX 65536
#define TDB_ADDRESSES_MAX 16
#define TDB_FILTER_TYPES_MAX 64

/*
 * Extensions: what a REGISTER asks for in tdb_header_reserved1, and its answer grants. With 0 there the database speaks
 * the bare draft.
 */
#define TDB_EXT_CAUSE 0x01  /* tdb_header_reserved1 of a NOTIFY is the message type that caused it */
#define TDB_EXT_REPLAY 0x02 /* what exists comes first, then a NOTIFY without payloads */
#define TDB_EXT_ORIGIN 0x04 /* NOTIFY and the answer to GET end with a tdb_origin */
#define TDB_EXT_RING 0x08   /* news come on a ring in shared memory, see docs/protocol.md; a tdb_ring says from where */
#define TDB_EXT_FILTER 0x10 /* a tdb_filter comes along: only what matches it is told */

/* tdb_origin_source */
#define TDB_SOURCE_KERNEL 1
#define TDB_SOURCE_RA 2
#define TDB_SOURCE_DHCPV4 3
#define TDB_SOURCE_DHCPV6 4
#define TDB_SOURCE_ICMP 5
#define TDB_SOURCE_CLIENT 6

/* tdb_origin_reason: why a trigger was deleted */
#define TDB_REASON_NONE 0
#define TDB_REASON_EXPIRED 1      /* nothing is known any more */
#define TDB_REASON_CONTRADICTED 2 /* it is good again, or its interface is gone */
#define TDB_REASON_DELETED 3      /* by a client */
#define TDB_REASON_UNMATCHED 4    /* it was changed, and is not what this socket asked for or may read */

/* tdb_origin_addrflags: the state of the first address */
#define TDB_ADDR_TENTATIVE 0x01  /* duplicate address detection is not done */
#define TDB_ADDR_DUPLICATE 0x02  /* it found another holder */
#define TDB_ADDR_DEPRECATED 0x04 /* the preferred lifetime has run out */
#define TDB_ADDR_TEMPORARY 0x08  /* RFC 8981 */
#define TDB_ADDR_PERMANENT 0x10  /* without a lifetime */
#define TDB_ADDR_ADVERTISED 0x20 /* made by the kernel of a Router Advertisement */
#define TDB_ADDR_SECONDARY 0x40  /* a secondary IPv4 address of its subnet */

/* Every message begins with it (section 6). */
struct tdb_header {
  uint8_t tdb_header_version;
  uint8_t tdb_header_msgtype;
  uint8_t tdb_header_errno; /* 0, or in an answer a number of <errno.h> */
  uint8_t tdb_header_reserved1;
  uint16_t tdb_header_msglen; /* of the whole message, divided by 8 */
  uint16_t tdb_header_reserved2;
  uint32_t tdb_header_seq;
  uint32_t tdb_header_pid;
} __attribute__((packed));
/* sizeof( struct tdb_header ) == 16 */

/* Every payload begins with it (section 5). */
struct tdb_payload {
  uint16_t tdb_payload_len; /* divided by 8, this header and the padding included */
  uint16_t tdb_payload_type;
} __attribute__((packed));
/* sizeof( struct tdb_payload ) == 4 */

/* ADDRESS (section 6). A sockaddr_in or a sockaddr_in6 follows: TDB_ADDRESS_SOCKADDR. */
struct tdb_address {
  uint16_t tdb_address_len; /* TDB_ADDRESS_LEN of the sockaddr's size */
  uint16_t tdb_address_pltype;
  uint8_t tdb_address_prefixlen; /* at most 32 or 128 */
  uint8_t tdb_address_reserved1;
  uint16_t tdb_address_reserved2;
} __attribute__((packed));
/* sizeof( struct tdb_address ) == 8 */

/* TRIGGER (section 6). In GET and DELETE only the id counts, the other fields are 0; in ADD the id is 0. */
struct tdb_trigger {
  uint16_t tdb_trigger_len;
  uint16_t tdb_trigger_pltype;
  uint16_t tdb_trigger_type;
  uint16_t tdb_trigger_reserved1;
  uint32_t tdb_trigger_id;
  uint32_t tdb_trigger_reserved2;
} __attribute__((packed));
/* sizeof( struct tdb_trigger ) == 16 */

/* ORIGIN, an extension: where the knowledge behind a trigger comes from. */
struct tdb_origin {
  uint16_t tdb_origin_len;
  uint16_t tdb_origin_pltype;
  uint32_t tdb_origin_ifindex;    /* 0: no interface is known */
  char tdb_origin_ifname[16];     /* filled up with zeros, the last one is always there */
  uint32_t tdb_origin_pvd;        /* the provisioning domain's id, 0 if none is known; of a client's: whose it is (uid) */
  uint8_t tdb_origin_source;      /* TDB_SOURCE_... */
  uint8_t tdb_origin_icmp_type;   /* of ICMPv6 where the addresses are IPv6 */
  uint8_t tdb_origin_icmp_code;
  uint8_t tdb_origin_reason;      /* TDB_REASON_... */
  uint32_t tdb_origin_count;      /* events folded into this one, itself included */
  uint32_t tdb_origin_addrflags;  /* TDB_ADDR_... of the first address */
  uint64_t tdb_origin_timestamp;  /* nanoseconds of CLOCK_REALTIME */
} __attribute__((packed));
/* sizeof( struct tdb_origin ) == 48 */

/*
 * FILTER, an extension: what a registered socket wants to be told. tdb_filter_count trigger types follow, uint16_t
 * each, then zeros up to a multiple of 8. A trigger matches if its type is one of them, its interface is the one, and
 * at least one of its addresses lies in the prefix.
 */
struct tdb_filter {
  uint16_t tdb_filter_len; /* TDB_FILTER_LEN of the count */
  uint16_t tdb_filter_pltype;
  uint32_t tdb_filter_ifindex;   /* 0: any; a trigger of which no interface is known matches only 0 */
  uint8_t tdb_filter_prefixlen;  /* of the address below, 0 if there is none */
  uint8_t tdb_filter_count;      /* of trigger types behind this; 0: any type */
  uint16_t tdb_filter_reserved1;
  uint32_t tdb_filter_reserved2;
  uint8_t tdb_filter_sockaddr[32]; /* sockaddr_in or sockaddr_in6 and zeros; all zeros (AF_UNSPEC): any address */
} __attribute__((packed));
/* sizeof( struct tdb_filter ) == 48 */

/*
 * RING, an extension: in the answer to a REGISTER that was granted TDB_EXT_RING, which brings the descriptors of ring,
 * page and wake-up by SCM_RIGHTS, and in the NOTIFY that ends a replay.
 */
struct tdb_ring {
  uint16_t tdb_ring_len;
  uint16_t tdb_ring_pltype;
  uint32_t tdb_ring_offset;   /* where this socket's words stand in its page, bytes */
  uint64_t tdb_ring_position; /* of the first record for this socket */
} __attribute__((packed));
/* sizeof( struct tdb_ring ) == 16 */

/* Bytes as a length field has them, rounded up, and back. */
#define TDB_LEN(bytes) ((uint16_t)(((size_t)(bytes) + 7) / 8))
#define TDB_BYTES(len) ((size_t)(len)*8)

/* Length fields of the payloads: 3 for a sockaddr_in, 5 for a sockaddr_in6. */
#define TDB_ADDRESS_LEN(sockaddr_size) TDB_LEN(sizeof(struct tdb_address) + (size_t)(sockaddr_size))
#define TDB_TRIGGER_LEN TDB_LEN(sizeof(struct tdb_trigger))
#define TDB_ORIGIN_LEN TDB_LEN(sizeof(struct tdb_origin))
#define TDB_FILTER_LEN(count) TDB_LEN(sizeof(struct tdb_filter) + 2 * (size_t)(count))

/*
 * Walking a received message of `size` bytes, which is at least a header:
 *
 *   const struct tdb_header *header = memory;
 *   size_t left = size - sizeof *header;
 *   const struct tdb_payload *payload;
 *   for (payload = TDB_FIRST(header); TDB_OK(payload, left); payload = TDB_NEXT(payload, left))
 *     switch (payload->tdb_payload_type) { ... }
 *   if (left != 0) ... the last payload was of length 0 or went past the message's end
 *
 * TDB_OK says that the whole payload lies in the message; whether it is as long as its type has it is to be looked at
 * before its fields are. TDB_NEXT takes the payload's bytes off `left`, a variable of type size_t.
 */
#define TDB_FIRST(header) TDB_AFTER(header, sizeof(struct tdb_header))
#define TDB_OK(payload, left)                                      \
  ((left) >= 8 && TDB_BYTES((payload)->tdb_payload_len) >= 8 &&    \
   TDB_BYTES((payload)->tdb_payload_len) <= (left))
#define TDB_NEXT(payload, left)                                    \
  ((left) -= TDB_BYTES((payload)->tdb_payload_len),                \
   TDB_AFTER(payload, TDB_BYTES((payload)->tdb_payload_len)))
#define TDB_AFTER(place, bytes) ((const struct tdb_payload *)(const void *)((const char *)(place) + (bytes)))

/* What follows a struct tdb_address, and the bytes there are of it, padding included. */
#define TDB_ADDRESS_SOCKADDR(address) \
  ((const struct sockaddr *)(const void *)((const char *)(address) + sizeof(struct tdb_address)))
#define TDB_ADDRESS_ROOM(address) (TDB_BYTES((address)->tdb_address_len) - sizeof(struct tdb_address))

#endif
