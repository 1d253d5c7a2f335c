/*
 * libmif: mifd's Trigger Database for C and C++ programs. Link with -lmif.
 *
 * Three levels, each usable without the ones below it:
 *
 *   sessions    a connection that stays in step with the database, over losses and restarts of the agent:
 *               trigger_open ...
 *   messages    building and reading the database's messages in memory of yours, without any I/O: trigger_build_...,
 *               trigger_iterate_..., trigger_parse
 *   layout      the structs and constants of the draft: <net/trigger.h>
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
 *     caller's has; an earlier version refuses those that it doesn't know with E2BIG, if they are not zeros;
 *   - trigger_event is lent by the library and may get more fields at its end: never copy it by its size, copy what you
 *     need of it;
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
 * requests; TRIGGER_DISCONNECTED ends the wait for all of them. -1: EAGAIN (the agent takes nothing now: take the
 * events that there are, and try again), ENOTCONN, EINVAL, EAFNOSUPPORT.
 */
int trigger_submit_add(struct trigger_session *session, uint16_t type, const struct trigger_address *addresses,
                       size_t count, uint32_t *ticket);
int trigger_submit_get(struct trigger_session *session, uint32_t id, uint32_t *ticket);
int trigger_submit_modify(struct trigger_session *session, uint32_t id, uint16_t type,
                          const struct trigger_address *addresses, size_t count, uint32_t *ticket);
int trigger_submit_delete(struct trigger_session *session, uint32_t id, uint32_t *ticket);

#ifdef __cplusplus
}
#endif
#endif
