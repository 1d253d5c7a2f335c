/* The layout of <net/trigger.h>: the draft's sizes, and the offsets of docs/protocol.md. Compiled as C and as C++. */
#include <net/trigger.h>

#define SAME(what, name, value) typedef char what##_##name[(value) ? 1 : -1]
#define SIZE(type, bytes) SAME(sizeof, type, sizeof(struct type) == (bytes))
#define AT(type, field, bytes) SAME(offset, type##_##field, offsetof(struct type, type##_##field) == (bytes))

SIZE(tdb_header, 16);
AT(tdb_header, version, 0);
AT(tdb_header, msgtype, 1);
AT(tdb_header, errno, 2);
AT(tdb_header, reserved1, 3);
AT(tdb_header, msglen, 4);
AT(tdb_header, reserved2, 6);
AT(tdb_header, seq, 8);
AT(tdb_header, pid, 12);

SIZE(tdb_payload, 4);
AT(tdb_payload, len, 0);
AT(tdb_payload, type, 2);

SIZE(tdb_address, 8);
AT(tdb_address, len, 0);
AT(tdb_address, pltype, 2);
AT(tdb_address, prefixlen, 4);
AT(tdb_address, reserved1, 5);
AT(tdb_address, reserved2, 6);

SIZE(tdb_trigger, 16);
AT(tdb_trigger, len, 0);
AT(tdb_trigger, pltype, 2);
AT(tdb_trigger, type, 4);
AT(tdb_trigger, reserved1, 6);
AT(tdb_trigger, id, 8);
AT(tdb_trigger, reserved2, 12);

SIZE(tdb_origin, 48);
AT(tdb_origin, len, 0);
AT(tdb_origin, pltype, 2);
AT(tdb_origin, ifindex, 4);
AT(tdb_origin, ifname, 8);
AT(tdb_origin, pvd, 24);
AT(tdb_origin, source, 28);
AT(tdb_origin, icmp_type, 29);
AT(tdb_origin, icmp_code, 30);
AT(tdb_origin, reason, 31);
AT(tdb_origin, count, 32);
AT(tdb_origin, addrflags, 36);
AT(tdb_origin, timestamp, 40);

SIZE(tdb_filter, 48);
AT(tdb_filter, len, 0);
AT(tdb_filter, pltype, 2);
AT(tdb_filter, ifindex, 4);
AT(tdb_filter, prefixlen, 8);
AT(tdb_filter, count, 9);
AT(tdb_filter, reserved1, 10);
AT(tdb_filter, reserved2, 12);
AT(tdb_filter, sockaddr, 16);

SIZE(tdb_ring, 16);
AT(tdb_ring, len, 0);
AT(tdb_ring, pltype, 2);
AT(tdb_ring, offset, 4);
AT(tdb_ring, position, 8);

#ifdef PF_TRIGGER
SAME(family, number, PF_TRIGGER == 200 && AF_TRIGGER == 200);
#endif
SAME(length, sockaddr_in, TDB_ADDRESS_LEN(16) == 3);
SAME(length, sockaddr_in6, TDB_ADDRESS_LEN(28) == 5);
SAME(length, trigger, TDB_TRIGGER_LEN == 2);
SAME(length, origin, TDB_ORIGIN_LEN == 6);
SAME(length, filter_of_none, TDB_FILTER_LEN(0) == 6);
SAME(length, filter_of_one, TDB_FILTER_LEN(1) == 7);
SAME(length, filter_of_five, TDB_FILTER_LEN(5) == 8);
SAME(length, rounded, TDB_BYTES(TDB_LEN(17)) == 24);

/* The macros for walking, in both languages. Exported, so that no compiler calls it unused. */
extern
#ifdef __cplusplus
    "C"
#endif
    unsigned tdb_layout_walk(const struct tdb_header *header, size_t size);

unsigned tdb_layout_walk(const struct tdb_header *header, size_t size)
{
  unsigned found = 0;
  size_t left = size - sizeof *header;
  const struct tdb_payload *payload;
  for (payload = TDB_FIRST(header); TDB_OK(payload, left); payload = TDB_NEXT(payload, left)) {
    const struct tdb_address *address = (const struct tdb_address *)(const void *)payload;
    if (payload->tdb_payload_type == TDB_PT_ADDRESS && TDB_ADDRESS_ROOM(address) >= sizeof(struct sockaddr))
      found += TDB_ADDRESS_SOCKADDR(address)->sa_family;
  }
  return left == 0 ? found : 0;
}
