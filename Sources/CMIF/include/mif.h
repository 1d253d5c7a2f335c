/*
 * libmif: mifd's Trigger Database and MIF API for C and C++ programs. Link with -lmif.
 *
 * The Trigger Database has three levels, each usable without the ones below it:
 *
 *   sessions    a connection that stays in step with the database, over losses and restarts of the agent:
 *               trigger_open ...
 *   messages    building and reading the database's messages in memory of yours, without any I/O: trigger_build_...,
 *               trigger_iterate_..., trigger_parse
 *   layout      the structs and constants of the draft: <net/trigger.h>
 *
 * The MIF API has two:
 *
 *   connecting  a connected socket to a host, through whichever network gives it first: mif_connect ...
 *   messages    those of draft-ietf-mif-api-extension-05, with its three calls: mif_post, mif_check, mif_get ...
 *
 * Errors are -1 (or NULL) with errno set. Times are in milliseconds: 0 does not wait, a negative one waits for ever.
 * Every function may be called from any thread, but a session, a builder or an iterator by one thread at a time.
 * Nothing here raises signals, starts threads or touches signal handlers, and none is a cancellation point
 * (pthread_cancel(3)); descriptors are closed on exec.
 *
 * What stays as it is while the library's file is libmif.so.0:
 *   - the structs that mirror messages (trigger_address, trigger_record, trigger_filter, trigger_message) and those of
 *     which you provide the memory (trigger_builder, trigger_iterator) keep their size and layout;
 *   - trigger_options begins with its size: later versions have more fields at its end, and read only those that the
 *     caller's has; an earlier version refuses those that it doesn't know with E2BIG, if they are not zeros. So do
 *     mif_options, mif_request and mif_connect_options;
 *   - trigger_event and mif_message are lent by the library and may get more fields at their end: never copy one by its
 *     size, copy what you need of it. mif_interface, mif_pvd, mif_address, mif_failure, mif_item, mif_counter,
 *     mif_route and mif_attempt keep their size and layout;
 *   - numbers of enums and macros keep their meaning. There may be more of them: ignore those that you don't know.
 */
#ifndef MIF_H
#define MIF_H

#include <net/trigger.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Values ------------------------------------------------------------------------------------------------------ */

/* An address of a trigger: sockaddr_in or sockaddr_in6, port and flow label 0. */
struct trigger_address {
  struct sockaddr_storage address; /* sin6_scope_id is the interface of a link-local address, else 0 */
  uint8_t prefix_length;           /* at most 32 or 128 */
  uint8_t reserved[7];
};

/* A trigger, in host byte order. */
struct trigger_record {
  uint32_t id;           /* the database's number for it, from 1 */
  uint16_t type;         /* TDB_TTYPE_..., or a program's own */
  uint8_t address_count; /* how many of `addresses` there are */
  uint8_t has_origin;    /* whether the agent said where it comes from; if not, `origin` is zeros */
  struct trigger_address addresses[TDB_ADDRESSES_MAX];
  struct tdb_origin origin;
};

/* Which triggers a program wants to be told of; all zeros: every one. See struct tdb_filter. */
struct trigger_filter {
  uint32_t ifindex;               /* 0: any */
  uint8_t prefix_length;          /* of `prefix` */
  uint8_t type_count;             /* how many of `types` there are, 0: any type */
  uint16_t reserved;
  struct sockaddr_storage prefix; /* ss_family AF_UNSPEC: any address; sin6_scope_id 0: on any interface */
  uint16_t types[TDB_FILTER_TYPES_MAX];
};

/* A whole message, in host byte order. */
struct trigger_message {
  uint8_t msgtype;     /* TDB_ADD ... */
  uint8_t error;       /* in an answer: 0, or a number of <errno.h> */
  uint8_t flags;       /* tdb_header_reserved1: extensions of REGISTER, cause of NOTIFY */
  uint8_t has_trigger; /* 0 in errors, in REGISTER and in the NOTIFY that ends a replay; then `trigger` is zeros */
  uint32_t seq;
  uint32_t pid;
  uint32_t reserved;
  struct trigger_record trigger;
};

/*
 * Fills an address in from a sockaddr of `length` bytes, without its port and flow label.
 * -1: EAFNOSUPPORT (neither AF_INET nor AF_INET6), EINVAL (length too short, prefix_length past 32 or 128).
 */
int trigger_address_set(struct trigger_address *address, const struct sockaddr *sockaddr, socklen_t length,
                        unsigned prefix_length);

/* ---- Building messages ------------------------------------------------------------------------------------------- */

/*
 * A message under construction in memory of the caller's; the fields are the library's. The functions write lengths,
 * padding and reserved fields. What goes wrong first is remembered, the calls after it do nothing, and
 * trigger_build_finish says it: one check is enough.
 *
 *   trigger_build_request(&builder, memory, sizeof memory, TDB_ADD, 0, seq);
 *   trigger_build_trigger(&builder, TDB_TTYPE_CONN_LOST, 0);
 *   trigger_build_address(&builder, (const struct sockaddr *)&sin, sizeof sin, 24);
 *   length = trigger_build_finish(&builder);
 */
struct trigger_builder {
  void *memory;
  size_t size;
  size_t length;
  int error;
  uint32_t state;
  uint64_t reserved[4];
};

/* Bytes enough for every message of the database: a TRIGGER, 16 IPv6 addresses and an ORIGIN are the longest. */
#define TRIGGER_MESSAGE_SIZE 720

/*
 * Begins a request with this process' pid. `flags` are the TDB_EXT_... of REGISTER, else 0. `seq` is the caller's
 * choice and comes back in the answer.
 */
void trigger_build_request(struct trigger_builder *builder, void *memory, size_t size, uint8_t msgtype, uint8_t flags,
                           uint32_t seq);

/* Begins any message: msgtype, errno, reserved1, seq and pid are taken from `header`, the other fields are not read. */
void trigger_build_message(struct trigger_builder *builder, void *memory, size_t size, const struct tdb_header *header);

/* TRIGGER. `id` is 0 in ADD; `type` is 0 in GET and DELETE. EINVAL: there is one already. */
void trigger_build_trigger(struct trigger_builder *builder, uint16_t type, uint32_t id);

/*
 * ADDRESS. `length` is the sockaddr's, at least what its family has; port and flow label are written as 0.
 * EAFNOSUPPORT; EINVAL: a length too short, a prefix length past 32 or 128, a seventeenth address.
 */
void trigger_build_address(struct trigger_builder *builder, const struct sockaddr *sockaddr, socklen_t length,
                           unsigned prefix_length);

/* ORIGIN. Length and payload type of `origin` are not read. EINVAL: there is one already, source or reason unknown. */
void trigger_build_origin(struct trigger_builder *builder, const struct tdb_origin *origin);

/*
 * FILTER, and TDB_EXT_FILTER in the header.
 * EAFNOSUPPORT; EINVAL: there is one already, too many types, a prefix length past 32 or 128.
 */
void trigger_build_filter(struct trigger_builder *builder, const struct trigger_filter *filter);

/*
 * The message's length in bytes: what to send. -1: the first error of the calls before. EMSGSIZE: it did not fit. The
 * builder can then begin anew; a message cannot be added to after this.
 */
ssize_t trigger_build_finish(struct trigger_builder *builder);

/* ---- Reading messages -------------------------------------------------------------------------------------------- */

/*
 * A whole message at once: header, TRIGGER, ADDRESSes and ORIGIN; other payloads are skipped. `length` is what recv(2)
 * gave. `message` is written only if all is well.
 *
 * -1: EMSGSIZE (shorter than a header, or its length is not the header's), EPROTONOSUPPORT (version), EOPNOTSUPP
 * (message type unknown: ignore it), EAFNOSUPPORT, EINVAL (anything else that docs/protocol.md#errors has).
 */
int trigger_parse(const void *bytes, size_t length, struct trigger_message *message);

/* A message's payloads, one after another; the fields are the library's. */
struct trigger_iterator {
  const void *bytes;
  size_t length;
  size_t offset;
  uint64_t reserved[2];
};

/* Begins at the first payload of a message. -1: EMSGSIZE, EPROTONOSUPPORT as above; any message type is accepted. */
int trigger_iterate(struct trigger_iterator *iterator, const void *bytes, size_t length);

/*
 * The next payload: 1, or 0 at the end. -1: EINVAL, a payload of length 0, or one that goes past the message's end.
 * The payload lies in the message, whole and with the length that its header says.
 */
int trigger_iterate_next(struct trigger_iterator *iterator, const struct tdb_payload **payload);

/*
 * What is in a payload that trigger_iterate_next gave. -1: EINVAL (of another type, not as long as its type has it, a
 * prefix length past 32 or 128, an unknown source or reason), EAFNOSUPPORT.
 */
int trigger_payload_trigger(const struct tdb_payload *payload, uint16_t *type, uint32_t *id);
int trigger_payload_address(const struct tdb_payload *payload, struct trigger_address *address);
int trigger_payload_origin(const struct tdb_payload *payload, struct tdb_origin *origin);
int trigger_payload_filter(const struct tdb_payload *payload, struct trigger_filter *filter);

/* ---- Sessions ---------------------------------------------------------------------------------------------------- */

/*
 * A connection to the agent. It keeps in step by itself: after lost news it asks for everything again, after a restart
 * of the agent it connects again, and tells only the differences. Whoever applies all events in their order always has
 * what the database has.
 */
struct trigger_session;

struct trigger_options {
  size_t size;             /* sizeof(struct trigger_options) */
  const char *runtime_dir; /* NULL: the environment variable MIFD_RUNTIME_DIR, or /run/mifd */
  uint32_t flags;          /* TRIGGER_OPEN_... */
  uint32_t reserved;       /* 0 */
};

/* The agent need not run yet: the session connects when it does. */
#define TRIGGER_OPEN_WAIT 0x01
/*
 * trigger_next spends its time looking for news in the memory that the agent shares, instead of sleeping: a processor's
 * whole time for the microseconds that it takes to be woken. trigger_fd does not tell of these news then.
 */
#define TRIGGER_OPEN_SPIN 0x02

/*
 * Connects; `options` may be NULL. NULL: as connect(2) has it, so ENOENT or ECONNREFUSED where no agent runs, EACCES
 * where the socket is not for you; EINVAL, E2BIG (options that this version doesn't know); ENAMETOOLONG (the socket's
 * path may have 107 bytes).
 */
struct trigger_session *trigger_open(const struct trigger_options *options);

/* Ends the session and frees what it lent. NULL is let pass. errno stays. */
void trigger_close(struct trigger_session *session);

/*
 * For poll(2), select(2) or epoll(7): readable when trigger_next may have something, be it from the agent or because it
 * is time to try to connect. The same as long as the session lives. It is only to be waited for.
 */
int trigger_fd(const struct trigger_session *session);

/*
 * Asks to be told of what exists and of all that changes; now, and after each reconnection. `filter` may be NULL. What
 * exists comes as TRIGGER_ADDED, then TRIGGER_IN_STEP. A second call replaces the first: what its filter no longer lets
 * through is told as deleted.
 *
 * A refusal comes as TRIGGER_REFUSED; with a timeout other than 0 the agent's answer is waited for as well. -1: EPERM
 * (not for you), EINVAL, EAFNOSUPPORT (the filter), ETIMEDOUT, ECONNRESET, EAGAIN (the agent takes nothing now: take
 * the events that there are, and try again). While the agent is away this succeeds, and is done when it is back.
 */
int trigger_register(struct trigger_session *session, const struct trigger_filter *filter, int timeout);

enum trigger_event_kind {
  TRIGGER_ADDED = 1,        /* `trigger` is new, or existed and had not been told yet */
  TRIGGER_MODIFIED = 2,     /* `trigger` as it is now; it was told under the id `former`, which is free from now on */
  TRIGGER_DELETED = 3,      /* `trigger` as it was last told; origin.tdb_origin_reason says why, where that is known */
  TRIGGER_IN_STEP = 4,      /* everything that exists has been told: after trigger_register, and after each resync */
  TRIGGER_DISCONNECTED = 5, /* the agent is gone; requests without answer are lost. The session connects by itself */
  TRIGGER_REFUSED = 6,      /* trigger_register was refused: nothing will be told */
  TRIGGER_ANSWER = 7        /* to the request `ticket`; with `error` 0 and a `trigger`, or an error without */
};

struct trigger_event {
  enum trigger_event_kind kind;
  int error;                            /* of REFUSED and ANSWER: 0, or a number of <errno.h> */
  uint32_t ticket;                      /* of ANSWER: what trigger_submit_... gave */
  uint32_t former;                      /* of MODIFIED: another id than the trigger's only if the agent was restarted */
  const struct trigger_record *trigger; /* NULL where the event has none */
};

/*
 * The next event, which lives until the next call of trigger_next or trigger_close. NULL: EAGAIN (none came in time),
 * EINTR (a signal came while it waited), or an errno of the operating system's. When poll(2) says that the descriptor
 * is readable, call it with a timeout of 0 until it gives NULL.
 */
const struct trigger_event *trigger_next(struct trigger_session *session, int timeout);

/*
 * Requests that wait for their answer; events that come meanwhile are kept for trigger_next.
 *
 * -1: what the agent says (docs/protocol.md#errors): EPERM, ENOENT (no such trigger), ENOSPC (the database or a quota
 * is full), EINVAL; and ETIMEDOUT, ECONNRESET (the request may have been carried out in both cases), ENOTCONN (the
 * agent is away), EINVAL or EAFNOSUPPORT (more than 16 addresses, or one that is none).
 */
int trigger_add(struct trigger_session *session, uint16_t type, const struct trigger_address *addresses, size_t count,
                uint32_t *id, int timeout);
int trigger_get(struct trigger_session *session, uint32_t id, struct trigger_record *trigger, int timeout);
/* With a count of 0 the addresses that it has stay. */
int trigger_modify(struct trigger_session *session, uint32_t id, uint16_t type, const struct trigger_address *addresses,
                   size_t count, int timeout);
int trigger_delete(struct trigger_session *session, uint32_t id, int timeout);

/*
 * The same without waiting: the answer comes as TRIGGER_ANSWER with the ticket. Answers come in the order of the
 * requests; what is told of a change may come before its answer where many are under way.
 * TRIGGER_DISCONNECTED ends the wait for all of them. -1: EAGAIN (the agent takes nothing now: take the
 * events that there are, and try again), ENOTCONN, EINVAL, EAFNOSUPPORT.
 */
int trigger_submit_add(struct trigger_session *session, uint16_t type, const struct trigger_address *addresses,
                       size_t count, uint32_t *ticket);
int trigger_submit_get(struct trigger_session *session, uint32_t id, uint32_t *ticket);
int trigger_submit_modify(struct trigger_session *session, uint32_t id, uint16_t type,
                          const struct trigger_address *addresses, size_t count, uint32_t *ticket);
int trigger_submit_delete(struct trigger_session *session, uint32_t id, uint32_t *ticket);

/* ---- The MIF API: values ----------------------------------------------------------------------------------------- */

/* Message types: one for each of draft-ietf-mif-api-extension-05, section 3.2.7, then those that it lacks. */
enum mif_message_type {
  MIF_ANNOUNCE_INTERFACES = 1,
  MIF_STOP_ANNOUNCING_INTERFACES = 2,
  MIF_INTERFACE_ANNOUNCEMENT = 3,
  MIF_NO_INTERFACE_ANNOUNCEMENT = 4,
  MIF_ANNOUNCE_PVDS = 5,
  MIF_STOP_ANNOUNCING_PVDS = 6,
  MIF_PVD_ANNOUNCEMENT = 7,
  MIF_NO_PVD_ANNOUNCEMENT = 8,
  MIF_ANNOUNCE_CONFIG_ELEMENTS = 9,
  MIF_CONFIG_ELEMENT_ANNOUNCEMENT = 10,
  MIF_NO_CONFIG_ELEMENT_ANNOUNCEMENT = 11,
  MIF_STOP_ANNOUNCING_CONFIG_ELEMENTS = 12,
  MIF_ANNOUNCE_ADDRESSES = 13,
  MIF_ADDRESS_ANNOUNCEMENT = 14,
  MIF_STOP_ANNOUNCING_ADDRESSES = 15,
  MIF_NO_ADDRESS_ANNOUNCEMENT = 16,
  MIF_GET_CONFIG_DATA = 17,
  MIF_CONFIG_DATA = 18,
  MIF_NO_CONFIG_DATA = 19,
  MIF_TRANSLATE_NAME = 20,
  MIF_STOP_TRANSLATING_NAME = 21,
  MIF_NAME_TRANSLATION = 22,
  MIF_CONNECT_TO_PVD = 23,
  MIF_CONNECT_TO_ADDRESS = 24,
  MIF_CONNECT_TO_ADDRESS_FROM_ADDRESS = 25,
  MIF_CONNECTED = 26,
  MIF_NOT_CONNECTED = 27,
  MIF_WANTS_TO_CONNECT = 28,
  MIF_CONNECTION_IDLE = 29,
  MIF_CONNECTION_CAN_BE_BROKEN = 30,
  MIF_INTERFACE_GOING_AWAY = 31,
  MIF_INTERFACE_GOING_UP = 32,
  MIF_NAME_TRANSLATION_ENDED = 33, /* no more results; `failure` is the verdict */
  MIF_SNAPSHOT_END = 34,           /* all that exists of what was asked for has been told; what follows is news */
  MIF_OVERRUN = 35,                /* news were lost and every subscription has ended: forget, and ask again */
  MIF_GET_STATISTICS = 36,
  MIF_STATISTICS = 37,
  MIF_TAKE_INTERFACE_DOWN = 40
};

/* Flags of a message: an item asked for, seq and pid are the request's. Without it an announcement is news. */
#define MIF_SNAPSHOT 0x01

/* Configuration elements: where configuration comes from. */
#define MIF_ELEMENT_RA 1
#define MIF_ELEMENT_DHCPV6 2
#define MIF_ELEMENT_DHCPV4 3
#define MIF_ELEMENT_KERNEL 4

/* Configuration information identifiers; docs/protocol.md#configuration-data has their values. */
#define MIF_INFO_ALL 0
#define MIF_INFO_DNS_SERVERS 1
#define MIF_INFO_SEARCH_LIST 2
#define MIF_INFO_MTU 3
#define MIF_INFO_HOP_LIMIT 4
#define MIF_INFO_PREFIXES 5
#define MIF_INFO_ROUTES 6
#define MIF_INFO_DEFAULT_ROUTER 7
#define MIF_INFO_NTP_SERVERS 8
#define MIF_INFO_CAPTIVE_PORTAL 9
#define MIF_INFO_PREF64 10
#define MIF_INFO_ENCRYPTED_DNS 11
#define MIF_INFO_PVD_OPTION 12
#define MIF_INFO_LEASE 13
#define MIF_INFO_DELEGATED_PREFIXES 14
#define MIF_INFO_DOMAIN_NAME 15
#define MIF_INFO_HOST_NAME 16
#define MIF_INFO_TIME_ZONE 17
#define MIF_INFO_ADDITIONAL_INFORMATION 18
#define MIF_INFO_OPTION(number) (0x10000u + (number))

/* Flags of mif_interface. */
#define MIF_INTERFACE_UP 0x01
#define MIF_INTERFACE_CARRIER 0x02
#define MIF_INTERFACE_LOOPBACK 0x04
#define MIF_INTERFACE_POINT_TO_POINT 0x08

struct mif_interface {
  uint32_t ifindex;
  uint32_t flags; /* MIF_INTERFACE_... */
  char name[16];  /* ends with a zero */
};

/* Flags of mif_pvd: its name is the FQDN of a PvD option (RFC 8801); else a readable one, of interface and source. */
#define MIF_PVD_EXPLICIT 0x01

/* A provisioning domain. */
struct mif_pvd {
  uint32_t id;    /* from 1, not reused before the counter wraps */
  uint32_t flags; /* MIF_PVD_... */
  char name[256]; /* UTF-8, ends with a zero; empty where the message has none */
};

struct mif_address {
  struct sockaddr_storage address; /* port 0; sin6_scope_id is the interface of a link-local address, else 0 */
  uint32_t preferred;              /* seconds left, UINT32_MAX for ever; of a translation the record's TTL */
  uint32_t valid;
  uint16_t flags;                  /* TDB_ADDR_... of <net/trigger.h> */
  uint8_t prefix_length;
  uint8_t reserved;
};

/* Where a failure comes from. */
enum mif_failure_source {
  MIF_FAILURE_NONE = 0, /* nothing failed */
  MIF_FAILURE_LOCAL = 1,
  MIF_FAILURE_ICMP = 2,
  MIF_FAILURE_ICMPV6 = 3,
  MIF_FAILURE_RESOLVER = 4,
  MIF_FAILURE_TIMEOUT = 5
};

struct mif_failure {
  int32_t error;            /* a number of <errno.h>, or 0 */
  uint8_t from;             /* enum mif_failure_source */
  uint8_t icmp_type;
  uint8_t icmp_code;
  uint8_t reserved;
  uint32_t resolver_status; /* the DNS RCODE (RFC 6895): 3 is NXDOMAIN */
};

/* How an item of configuration is laid out: which fields of mif_item it has. */
enum mif_item_kind {
  MIF_ITEM_ADDRESS = 1, /* address */
  MIF_ITEM_TEXT = 2,    /* bytes: UTF-8 */
  MIF_ITEM_NUMBER = 3,  /* number */
  MIF_ITEM_PREFIX = 4,  /* address, prefix_length; flags of a Prefix Information option: L 0x80, A 0x40, R 0x20 ... */
  MIF_ITEM_ROUTE = 5,   /* address, prefix_length, preference; gateway: unspecified is on-link */
  MIF_ITEM_ROUTER = 6,  /* address, preference */
  MIF_ITEM_PVD = 7,     /* flags: H 0x8000, L 0x4000, R 0x2000, the delay in the low 4 bits; number: the sequence */
  MIF_ITEM_LEASE = 8,   /* address of the server, number: T1 in seconds, number2: T2 */
  MIF_ITEM_BYTES = 9    /* bytes */
};

/*
 * One item of configuration; fields that its kind has not are 0. sin6_scope_id is 0: a link-local address is on the
 * domain's interface.
 */
struct mif_item {
  uint32_t information; /* MIF_INFO_... */
  uint16_t kind;        /* enum mif_item_kind; skip what you don't know */
  uint16_t flags;
  uint32_t preferred;   /* seconds left, UINT32_MAX for ever */
  uint32_t valid;
  uint32_t number;
  uint32_t number2;
  uint8_t prefix_length;
  int8_t preference;    /* RFC 4191: 1 high, 0 medium, -1 low */
  uint8_t reserved[6];
  const void *bytes;    /* lent like the message, with a zero behind them */
  size_t length;        /* of bytes, without that zero */
  struct sockaddr_storage address;
  struct sockaddr_storage gateway;
};

struct mif_counter {
  const char *name; /* lent like the message */
  uint64_t value;
};

/* ---- The MIF API: messages --------------------------------------------------------------------------------------- */

/*
 * A connection to the agent. Nothing happens behind your back: what the agent says is what mif_get gives, one message
 * after another. After MIF_OVERRUN, and when the agent is gone, it is you who asks again.
 */
struct mif_session;

struct mif_options {
  size_t size;             /* sizeof(struct mif_options) */
  const char *runtime_dir; /* NULL: the environment variable MIFD_RUNTIME_DIR, or /run/mifd */
  uint32_t flags;          /* 0 */
  uint32_t reserved;       /* 0 */
};

/*
 * Connects; `options` may be NULL. NULL: as connect(2) has it, so ENOENT or ECONNREFUSED where no agent runs, EACCES
 * where the socket is not for you; EINVAL, E2BIG (options that this version doesn't know); ENAMETOOLONG (the socket's
 * path may have 107 bytes).
 */
struct mif_session *mif_open(const struct mif_options *options);

/*
 * Ends the session and frees what it lent; what the agent is doing for it (translations, connections) ends too. Sockets
 * that mif_take_socket gave stay. NULL is let pass. errno stays.
 */
void mif_close(struct mif_session *session);

/*
 * For poll(2), select(2) or epoll(7): readable when mif_get has something, writable when mif_post has room. The same as
 * long as the session lives. It is only to be waited for.
 */
int mif_fd(const struct mif_session *session);

/* A request. Which fields a message has is said at the function of its name below; the others are not read. */
struct mif_request {
  size_t size;                         /* sizeof(struct mif_request) */
  uint8_t msgtype;                     /* enum mif_message_type */
  uint8_t transport;                   /* IPPROTO_TCP or IPPROTO_UDP; 0 is TCP */
  uint16_t element;                    /* MIF_ELEMENT_... */
  uint32_t ifindex;
  uint32_t pvd;                        /* 0: the one that MIF_CONNECT_TO_PVD selected */
  uint32_t information;                /* MIF_INFO_... */
  uint32_t transaction;                /* your number of a translation or connection, not one that is still open */
  uint32_t milliseconds;
  const char *name;                    /* UTF-8, at most 255 bytes */
  struct sockaddr_storage destination; /* with port */
  struct sockaddr_storage source;      /* with port, 0 for any */
};

/*
 * POST MESSAGE (3.2.6.1): sends a request and returns, without waiting. `seq`, which may be NULL, gets the number that
 * the answers carry. -1: EAGAIN (the agent takes nothing now: take the messages that there are, and try again when the
 * descriptor is writable), ECONNRESET or what the agent said before it ended, EOPNOTSUPP (no request), EINVAL,
 * EAFNOSUPPORT (an address), ENAMETOOLONG (the name), E2BIG.
 *
 * What the agent has against a request comes as a message with its msgtype, its seq and an `error`:
 * docs/protocol.md#errors.
 */
int mif_post(struct mif_session *session, const struct mif_request *request, uint32_t *seq);

/*
 * The same, a function for each message of 3.2.7. What answers it is said behind it; "header" is a message of the same
 * type, with nothing in it but `error`.
 */
int mif_announce_interfaces(struct mif_session *session, uint32_t *seq); /* INTERFACE_ANNOUNCEMENT ..., SNAPSHOT_END */
int mif_stop_announcing_interfaces(struct mif_session *session, uint32_t *seq); /* header */
/* PVD_ANNOUNCEMENT ..., SNAPSHOT_END; ENOENT: no such interface. */
int mif_announce_pvds(struct mif_session *session, uint32_t ifindex, uint32_t *seq);
int mif_stop_announcing_pvds(struct mif_session *session, uint32_t ifindex, uint32_t *seq); /* header */
/* CONFIG_ELEMENT_ANNOUNCEMENT ..., SNAPSHOT_END; ENOENT: no such provisioning domain. */
int mif_announce_config_elements(struct mif_session *session, uint32_t pvd, uint32_t *seq);
int mif_stop_announcing_config_elements(struct mif_session *session, uint32_t pvd, uint32_t *seq); /* header */
/* ADDRESS_ANNOUNCEMENT ..., SNAPSHOT_END; ENOENT: no such provisioning domain. */
int mif_announce_addresses(struct mif_session *session, uint32_t pvd, uint32_t *seq);
int mif_stop_announcing_addresses(struct mif_session *session, uint32_t pvd, uint32_t *seq); /* header */
/* CONFIG_DATA, or NO_CONFIG_DATA. */
int mif_get_config_data(struct mif_session *session, uint32_t pvd, uint16_t element, uint32_t information,
                        uint32_t *seq);
/* NAME_TRANSLATION ..., NAME_TRANSLATION_ENDED; EEXIST: the transaction is still open. */
int mif_translate_name(struct mif_session *session, uint32_t pvd, const char *name, uint32_t transaction,
                       uint32_t *seq);
int mif_stop_translating_name(struct mif_session *session, uint32_t transaction, uint32_t *seq); /* header */
/* Header. `pvd` is what 0 means in later requests of this session. */
int mif_connect_to_pvd(struct mif_session *session, uint32_t pvd, uint32_t *seq);
/*
 * CONNECTED with a socket to take, or NOT_CONNECTED. `transport` is IPPROTO_TCP or IPPROTO_UDP, `length` that of the
 * sockaddr with its port. The agent chooses the source among the domain's addresses (RFC 6724).
 */
int mif_connect_to_address(struct mif_session *session, uint32_t pvd, uint32_t transaction, int transport,
                           const struct sockaddr *destination, socklen_t length, uint32_t *seq);
/* The same from a source of yours, which is one of the domain's addresses. */
int mif_connect_to_address_from_address(struct mif_session *session, uint32_t pvd, uint32_t transaction, int transport,
                                        const struct sockaddr *destination, socklen_t length,
                                        const struct sockaddr *source, socklen_t source_length, uint32_t *seq);
int mif_wants_to_connect(struct mif_session *session, uint32_t *seq); /* header */
/* Header. `pvd` 0: all. */
int mif_connection_idle(struct mif_session *session, uint32_t pvd, uint32_t *seq);
int mif_connection_can_be_broken(struct mif_session *session, uint32_t pvd, uint32_t *seq);
/* Header, then INTERFACE_GOING_AWAY; `milliseconds` later the interface is taken down. 0: the agent's grace time. */
int mif_take_interface_down(struct mif_session *session, uint32_t ifindex, uint32_t milliseconds, uint32_t *seq);
int mif_get_statistics(struct mif_session *session, uint32_t *seq); /* STATISTICS ..., SNAPSHOT_END */

/* What mif_check found. */
#define MIF_CHECK_MESSAGE 0x01    /* mif_get has something */
#define MIF_CHECK_DESCRIPTOR 0x02 /* `revents` of a descriptor of yours is not 0 */

struct pollfd;

/*
 * CHECK MESSAGE (3.2.6.2): waits for a message or for one of `count` descriptors of your own, as poll(2) does; their
 * `revents` are filled in. MIF_CHECK_..., or 0: nothing in time. `session` may be NULL, and so may `descriptors` with a
 * count of 0. -1: EINTR, EINVAL, ENOMEM.
 */
int mif_check(struct mif_session *session, struct pollfd *descriptors, size_t count, int timeout);

struct mif_message {
  uint8_t msgtype;         /* enum mif_message_type; ignore what you don't know */
  uint8_t error;           /* 0, or a number of <errno.h>: the request with this seq was refused */
  uint8_t flags;           /* MIF_SNAPSHOT */
  uint8_t has_socket;      /* mif_take_socket has one */
  uint32_t seq;            /* of an answer or an item the request's; of news their number, from 1 without gaps */
  uint32_t pid;            /* of an answer or an item yours; of news 0, or that of the process that caused them */
  uint16_t element;        /* of CONFIG_ELEMENT_..., CONFIG_DATA, NO_CONFIG_DATA */
  uint16_t reserved;
  uint32_t information;    /* of CONFIG_DATA, NO_CONFIG_DATA: what was asked for */
  uint32_t transaction;    /* of NAME_TRANSLATION, ..._ENDED, CONNECTED, NOT_CONNECTED */
  struct mif_interface interface; /* of (NO_)INTERFACE_..., (NO_)PVD_ANNOUNCEMENT */
  struct mif_pvd pvd;             /* of all about a provisioning domain; its name in (NO_)PVD_ANNOUNCEMENT */
  struct mif_address address;     /* of (NO_)ADDRESS_ANNOUNCEMENT, NAME_TRANSLATION */
  struct mif_failure failure;     /* of NAME_TRANSLATION_ENDED, NOT_CONNECTED */
  const struct mif_item *items;   /* of CONFIG_DATA */
  size_t item_count;
  const struct mif_counter *counters; /* of STATISTICS */
  size_t counter_count;
};

/*
 * GET MESSAGE (3.2.6.3): 1 and the next message, or 0: none is waiting. Never waits. The message lives until the next
 * call of mif_get or mif_close; fields that its type has not are 0.
 *
 * -1: the connection has ended, for good: ECONNRESET, or what the agent said before (ENOSPC: a quota of connections);
 * EPROTO: it said what nobody understands; or an errno of the operating system's.
 */
int mif_get(struct mif_session *session, const struct mif_message **message);

/*
 * The socket that came with the message that mif_get gave last, as CONNECTED has one: connected, blocking, closed on
 * exec, and yours from now on. One that is not taken is closed by the next mif_get. -1: ENOENT, there is none (any
 * more).
 */
int mif_take_socket(struct mif_session *session);

/* ---- The MIF API: connecting to a host --------------------------------------------------------------------------- */

struct mif_connect_options {
  size_t size;             /* sizeof(struct mif_connect_options) */
  const char *runtime_dir; /* NULL: the environment variable MIFD_RUNTIME_DIR, or /run/mifd */
  uint32_t flags;          /* MIF_CONNECT_... */
  uint32_t pvd;            /* only this provisioning domain; 0: any */
  uint32_t ifindex;        /* only those of this interface; 0: any */
  uint16_t family;         /* AF_INET or AF_INET6; AF_UNSPEC (0): both */
  uint8_t transport;       /* IPPROTO_TCP or IPPROTO_UDP; 0 is TCP */
  uint8_t reserved;        /* 0 */
  uint32_t attempt_delay;  /* milliseconds between two attempts, at least 100 and at most 2000; 0: 250 (RFC 8305) */
  uint32_t reserved2;      /* 0 */
};

/* The socket is to be nonblocking. */
#define MIF_CONNECT_NONBLOCK 0x01
/* Where no network is left that could lead to the host, one that comes is waited for. */
#define MIF_CONNECT_WAIT 0x02
/* mif_connect_next is to follow: the connector stays connected to the agent, which tells it of changes. */
#define MIF_CONNECT_KEEP 0x04

/* Which way a connection took. */
struct mif_route {
  uint32_t ifindex;
  uint32_t reserved;
  struct mif_pvd pvd;
  struct sockaddr_storage destination;
};

/*
 * A socket connected to a host, or -1. `host` is a name or an address as text, `port` in host byte order. The name is
 * looked up in every provisioning domain at once, the addresses are sorted by RFC 6724 and the domains' preference and
 * tried as RFC 8305 (Happy Eyeballs) has it, in all domains; the first connection is the result, the others are closed.
 * `options` and `route`, which tells the way it took, may be NULL.
 *
 * -1: ETIMEDOUT; ENETUNREACH (no network); EADDRNOTAVAIL (none with an address of the host's family); ENOENT (no such
 * host); the first attempt's error (ECONNREFUSED ...); EINTR; ECONNRESET (the agent ended); what mif_open has.
 */
int mif_connect(const char *host, uint16_t port, const struct mif_connect_options *options, struct mif_route *route,
                int timeout);

/*
 * The same without waiting. Begin; whenever mif_connect_fd is readable call mif_connect_step, until it gives something
 * else than 0; then take the socket and free the connector by mif_connect_finish, or give up by mif_connect_cancel.
 */
struct mif_connector;

/* NULL: what mif_open has; EINVAL (host, port or options). `timeout` is that of the whole. */
struct mif_connector *mif_connect_start(const char *host, uint16_t port, const struct mif_connect_options *options,
                                        int timeout);
int mif_connect_fd(const struct mif_connector *connector);

/* 1: connected; 0: not yet; -1: never, as mif_connect has it. Never waits. */
int mif_connect_step(struct mif_connector *connector);

/*
 * What was tried so far. `error` 0: it is still under way, or connected. The address is of family AF_UNSPEC where the
 * name came to nothing in this domain.
 */
struct mif_attempt {
  uint32_t ifindex;
  uint32_t is_connected;
  struct mif_pvd pvd;
  struct sockaddr_storage destination;
  struct mif_failure failure;
  uint32_t reserved;
};

/* Attempt `index`, from 0: 1, or 0 where there is none. For telling people why there is no connection. */
int mif_connect_attempt(const struct mif_connector *connector, size_t index, struct mif_attempt *attempt);

/* Frees the connector and gives its socket, or -1 as mif_connect_step has it; EAGAIN: it had not ended. */
int mif_connect_finish(struct mif_connector *connector, struct mif_route *route);

/*
 * For programs that connect often: with MIF_CONNECT_KEEP a connector may be used again, and what it knows of the networks
 * needs not be asked for each time, which makes most of what a connection through the agent costs.
 *
 * mif_connect_take gives the socket as mif_connect_finish does, and keeps the connector. mif_connect_next then begins
 * another connection, through the agent that mif_connect_start found: 0, or -1: EBUSY, the one before has not ended;
 * what mif_connect_start has, and the one before stays ended. mif_connect_fd may be another one from then on.
 */
int mif_connect_take(struct mif_connector *connector, struct mif_route *route);
int mif_connect_next(struct mif_connector *connector, const char *host, uint16_t port,
                     const struct mif_connect_options *options, int timeout);

/* Frees the connector, and closes what is connected. NULL is let pass. errno stays. */
void mif_connect_cancel(struct mif_connector *connector);

#ifdef __cplusplus
}
#endif
#endif
