/*
 * What one reactor thread owns: an arena of buffers, a table of connections with their send queues, listeners,
 * and the two shared arrays through which JavaScript and C talk once per loop turn.
 *
 * Nothing here knows PostgreSQL, and nothing is global: every function takes the reactor, so that several worker
 * threads can each have their own. Readiness and transfer are a driver's business (uring.c, epoll.c); order of bytes,
 * references on buffers and the life of a connection are decided in connections.c alone.
 * TLS (tls.c) sits between the two: a connection with a TLS state hands what it receives and what it is to send to it.
 */
#ifndef SLUICE_REACTOR_H
#define SLUICE_REACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>

#define BUFFER_SHIFT 14
#define BUFFER_BYTES (1u << BUFFER_SHIFT)
/* Buffer numbers travel through the kernel in 16 bits. */
#define MAX_BUFFERS 65536u
/* Kept back for staging, so that an error message can still be sent when stalled readers hold all the rest. */
#define RESERVED_BUFFERS 64u

#define EVENT_CAPACITY 4096u
#define COMMAND_CAPACITY 4096u
#define MAX_LISTENERS 64u
/* Settings of a TCP socket, in the order of OPTIONS in sockets.c. */
#define SOCKET_OPTIONS 7
#define MAX_IOVECS 64u
#define NO_SEGMENT UINT32_MAX
#define NO_SLOT UINT32_MAX

/* A finishing connection whose peer takes nothing for this long is cut off. */
#define FINISH_STALL_MS 30000
/* After EMFILE, accepting is tried again at the latest after this time. */
#define ACCEPT_RETRY_MS 500

/* Events, four int32 each: kind, connection, and two values. Mirrored in src/reactor/native-addon.ts. */
enum event_kind {
  EVENT_NONE = 0,
  EVENT_ACCEPTED = 1,  /* listener */
  EVENT_CONNECTED = 2,
  EVENT_RECEIVED = 3,  /* offset, length; the buffer is kept until the next turn */
  EVENT_ENDED = 4,
  EVENT_DRAINED = 5,
  EVENT_CLOSED = 6,    /* errno or 0 */
  EVENT_WOKEN = 7,
  EVENT_ACCEPT_PAUSED = 8, /* connection field: listener; errno */
  EVENT_EVICTED = 9,   /* pending bytes: the arena was full, this reader had been stalled longest */
  EVENT_SECURED = 10,  /* a TLS handshake is over */
};

/* Commands, three int32 each: connection, then offset and length of a send, or one of these and 0. */
enum command {
  COMMAND_FINISH = -1,
  COMMAND_RESET = -2,
  COMMAND_PAUSE = -3,
  COMMAND_RESUME = -4,
};

enum connection_state {
  STATE_FREE = 0,
  STATE_RESERVED,   /* has a number, waits for its address to be resolved */
  STATE_DIALLING,   /* has an address; the driver has to connect */
  STATE_CONNECTING,
  STATE_OPEN,
  STATE_FINISHING,  /* closes when everything is sent */
  STATE_CLOSING,    /* closes when nothing is in flight */
  STATE_CLOSED,     /* reported; free at the next turn */
};

enum connection_flag {
  WANT_READ = 1 << 0,
  RECV_ARMED = 1 << 1,     /* uring: a multishot receive is in the kernel */
  RECV_CANCELLING = 1 << 2,
  SEND_INLINE = 1 << 3,    /* uring: submitted in this batch, completes within the submission */
  SEND_FAILED_INLINE = 1 << 4,
  SEND_ARMED = 1 << 5,     /* uring: waits in the kernel for room in the socket */
  SEND_CANCELLING = 1 << 6,
  STALLED = 1 << 7,        /* the socket took less than it was given */
  ENDED = 1 << 8,          /* the peer sent its end */
  SEND_DEAD = 1 << 9,      /* sending failed; what was received may still be read */
  CONGESTED = 1 << 10,     /* JavaScript was told so, and is owed a DRAINED */
  ATTENTION = 1 << 11,     /* is in the attention list */
  PAUSE_PENDING = 1 << 12, /* is in the list of pauses */
  PAUSE_SEEN = 1 << 13,    /* reading was paused before this turn, and still is */
  STARVED = 1 << 14,       /* uring: its receive ended for want of buffers */
  CONNECT_ARMED = 1 << 15,
  CONNECT_CANCELLING = 1 << 17,
  ORDERLY = 1 << 16,       /* finished: everything was sent */
  HEARD = 1 << 18,         /* uring: is in the list of those to be looked at for a missed end */
  EVICTED = 1 << 19,       /* is being closed to get its buffers back */
};

struct tls;
struct tls_state;

struct segment {
  uint32_t offset, length, next;
};

union address {
  struct sockaddr any;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
  struct sockaddr_un un;
};

struct connection {
  int32_t fd;
  uint32_t generation;
  uint32_t state;
  uint32_t flags;
  int32_t error;
  uint32_t head, tail;     /* unsent segments, oldest first */
  uint32_t queued;         /* bytes in them; what JavaScript has queued but not handed over is not in it */
  uint32_t submitted;      /* bytes of the inline send in flight */
  uint32_t tail_room;      /* bytes free behind the tail segment in a buffer that only this connection fills */
  uint32_t interest;       /* epoll: the registered events */
  uint32_t next_free;
  uint32_t stall_previous, stall_next;
  int64_t stalled_since;   /* ms; moves on with every byte that the peer takes */
  union address *address;  /* while dialling and connecting */
  struct tls *tls;         /* NULL: what is on the wire is what JavaScript sees */
};

struct listener {
  int32_t fd;
  int32_t index;           /* the number that ACCEPTED events carry */
  bool tcp;
  bool armed;
  bool paused;             /* no descriptors; reported once */
  bool shared;             /* other processes have it, too: closing it leaves the socket and its file to them */
  char *socket_path;       /* to be removed at the end */
};

struct reactor;

struct driver {
  const char *name;
  /* 0 or -errno */
  int (*open)(struct reactor *);
  void (*close)(struct reactor *);
  /* Brings a connection in line with its state: sends, reads, pauses, closes. Called once per turn and change. */
  void (*settle)(struct reactor *, struct connection *);
  /* A listener that others go on with is about to be closed here. */
  void (*forget_listener)(struct reactor *, struct listener *);
  /* Submits, waits at most so long for something that JavaScript must hear of, and fills the event array. */
  void (*turn)(struct reactor *, int64_t deadline);
};

struct reactor {
  const struct driver *driver;
  void *driver_state;
  bool open;

  /* arena.c */
  uint8_t *memory;
  uint32_t buffer_count;
  uint32_t buffers_made;   /* buffers that have ever been used; those behind it cost nothing */
  uint16_t *references;
  uint32_t *free_buffers;
  uint32_t free_count;
  int32_t staging;         /* the buffer that JavaScript fills, or -1 */
  uint32_t *retired;       /* staging buffers whose commands have not been taken yet */
  uint32_t retired_count, retired_capacity;

  /* connections.c */
  struct connection *connections;
  uint32_t connection_capacity;
  uint32_t connections_made;
  uint32_t first_free;
  struct segment *segments;
  uint32_t segment_capacity, segments_made, first_free_segment;
  uint32_t *attention;     /* connections to settle */
  uint32_t attention_count;
  uint32_t *reported;      /* closed ones whose event JavaScript is reading in this turn */
  uint32_t reported_count;
  uint32_t *pausing;       /* paused in the turn before: most are resumed at once, and cost nothing then */
  uint32_t pausing_count;
  uint32_t stall_first, stall_last; /* least recent progress first */
  int64_t stall_check_at;
  uint32_t evicting;       /* connections that are EVICTED */
  int64_t shortage_since, shortage_seen; /* ms: when the arena ran empty, and when it was last seen to be */
  uint32_t high_water, low_water;

  /* listeners */
  struct listener listeners[MAX_LISTENERS];
  uint32_t listener_count;
  bool listeners_changed;  /* the driver has listeners to arm */
  int64_t accept_retry_at; /* 0: accepting is not paused */
  int32_t socket_options[SOCKET_OPTIONS]; /* below 0: as the system has it */
  bool has_socket_options;
  /* Bytes of one send at most: as many as the send buffer is asked to hold. The kernel takes a single segment far
     beyond it, which then fills the buffer until the peer acknowledges it, and peers put that off (delayed ACK). */
  uint32_t send_limit;
  bool defer_accept;

  int wake_fd;
  int64_t now;             /* ms, monotonic */

  struct tls_state *tls;   /* made with the first context */

  /* shared with JavaScript */
  int32_t *commands;
  int32_t *events;
  uint32_t event_count;
  int32_t *pending;        /* unsent bytes per connection; JavaScript adds, C subtracts */
  double *clock;           /* [0]: now */
};

/* arena.c */
int arena_open(struct reactor *r, size_t bytes);
void arena_close(struct reactor *r);
/* A buffer with one reference, or -1. `spare` buffers stay untouched for others. */
int32_t buffer_take(struct reactor *r, uint32_t spare);
static inline void buffer_keep(struct reactor *r, uint32_t buffer) { r->references[buffer]++; }
void buffer_release(struct reactor *r, uint32_t buffer);
uint32_t buffers_left(const struct reactor *r);
/* Gives JavaScript a fresh staging buffer: its offset, or -1. The former one stays until its commands are taken. */
int32_t staging_take(struct reactor *r);
void staging_release_retired(struct reactor *r);

/* connections.c */
int connections_open(struct reactor *r, uint32_t capacity);
void connections_close(struct reactor *r);
struct connection *connection_new(struct reactor *r);
static inline uint32_t slot_of(const struct reactor *r, const struct connection *c) {
  return (uint32_t)(c - r->connections);
}
/* Takes `count` commands in order. */
void commands_take(struct reactor *r, uint32_t count);
void pauses_take(struct reactor *r);
void events_release(struct reactor *r);
void attend(struct reactor *r, struct connection *c);
void settle_all(struct reactor *r);
/* One receive makes that many events at most: with TLS the end of a handshake, several buffers, and the end. */
static inline bool events_have_room(const struct reactor *r) { return r->event_count + 8 <= EVENT_CAPACITY; }
void emit(struct reactor *r, int32_t kind, int32_t connection, int32_t a, int32_t b);
/* What a driver has found out. */
struct connection *connection_accepted(struct reactor *r, int fd, const struct listener *l);
void connection_established(struct reactor *r, struct connection *c);
void connection_received(struct reactor *r, struct connection *c, uint32_t offset, uint32_t length);
void connection_ended(struct reactor *r, struct connection *c);
void connection_failed(struct reactor *r, struct connection *c, int error);
void connection_sent(struct reactor *r, struct connection *c, uint32_t bytes);
void connection_stalled(struct reactor *r, struct connection *c);
void connection_send_failed(struct reactor *r, struct connection *c, int error);
void connection_drop_queue(struct reactor *r, struct connection *c);
/* Queues a range of the arena for sending, as it is. False: out of memory. */
bool connection_queue(struct reactor *r, struct connection *c, uint32_t offset, uint32_t length);
/* Tells JavaScript that the queue is short again, where it waits for that. */
void connection_report_drained(struct reactor *r, struct connection *c);
/* Moves a finishing connection on when all is sent; true when it should be closed as soon as nothing is in flight. */
bool connection_ready_to_close(struct reactor *r, struct connection *c);
/* Closes the descriptor and reports; false when the event array is full (settle it again). */
bool connection_close_now(struct reactor *r, struct connection *c);
/* Fills `vectors` with the oldest unsent ranges, up to `send_limit`; returns how many, and their bytes. */
uint32_t gather_segments(const struct reactor *r, const struct connection *c, struct iovec *vectors, uint32_t limit,
                         uint32_t *bytes);
/* Cuts off the reader that has been stalled longest, to get buffers back at once. */
void evict_longest_stalled(struct reactor *r);
/* The same where buffers can be waited for. Returns when to come again, in ms, if there still is none: readers that are
   slow for a moment only are given that moment. */
int64_t evict_patiently(struct reactor *r);
void check_stalled_finishers(struct reactor *r);

/* sockets.c */
int64_t clock_ms(void);
/* The same with its fraction: what takes less than a millisecond is measured, too. */
double clock_exact_ms(void);
int address_parse(const char *host, int port, union address *out);
socklen_t address_length(const union address *a);
void address_format(const union address *a, char *out, size_t size);
int socket_for(const union address *a, bool nonblocking);
/* The same with the options that TCP connections are to have. */
int dialling_socket(const struct reactor *r, const union address *a, bool nonblocking);
/* Options for TCP connections that are made or accepted from now on; below 0: left as they are. */
void socket_options_set(struct reactor *r, const int32_t *values, bool defer_accept);
void socket_options_apply(const struct reactor *r, int fd);
/* A listening descriptor or -errno. The IPv6 wildcard does not take IPv4. */
int listen_tcp(const char *host, int port, int backlog, bool reuse_port);
int listen_unix(const char *path, int mode, int backlog);
/* Makes a listening socket that somebody else has opened usable: 0 or -errno. */
int listen_inherited(int fd, int backlog);
/* Where a listening socket is: `ip:port`, `[ip]:port` or the path of its file; an empty text if it is none. */
void listening_place(int fd, char *out, size_t size);
/* -E2BIG when there is no room for it; the descriptor is closed then. */
int listener_add(struct reactor *r, struct listener l);
/* Mirrored by LISTENERS_END in native-addon.ts. Handed over: other processes go on with the sockets and their files. */
enum listeners_end { LISTENERS_ALL, LISTENERS_HANDED_OVER, LISTENERS_TCP };
void listeners_close(struct reactor *r, enum listeners_end how);
/* Descriptors for another process, with a text (unix(7), SCM_RIGHTS). 0 or -errno. */
int descriptors_send(int socket, const int *fds, size_t count, const char *text);
/* Connects to a unix socket and waits for what descriptors_send() sends there: the connection, or -errno. */
int descriptors_receive(const char *path, int timeout_ms, int *fds, size_t *count, char *text);
#define PASSED_TEXT_BYTES 8192
void discard_received(int fd);
bool out_of_descriptors(int error);
void accepting_paused(struct reactor *r, struct listener *l, int error);
/* Lets paused listeners try again when a descriptor was closed or some time has passed. */
void accepting_retry(struct reactor *r, bool descriptor_freed);

/* tls.c; built only where OpenSSL's headers are (SLUICE_TLS). */
struct tls_options {
  bool accepts;
  int verify; /* 0: no, 1: what is shown must be good, 2: must be shown */
  int min_version, max_version;
  uint64_t version_options;
  const char *certificate, *key, *authorities, *ciphers, *cipher_suites, *curves, *protocol;
};

struct tls_description {
  const char *version, *cipher;
  const char *protocol; /* not terminated */
  uint32_t protocol_length;
  uint8_t *peer;        /* its certificate, DER */
  int peer_length;
};

#ifdef SLUICE_TLS
/* Whether the executable that has loaded us brings the OpenSSL that we were built for. */
bool tls_available(void);
/* The context's number, or -1 and a reason that lives as long as OpenSSL. */
int32_t tls_context_new(struct reactor *r, const struct tls_options *o, const char **reason);
void tls_context_forget(struct reactor *r, int32_t id);
void tls_close(struct reactor *r);
int32_t tls_start(struct reactor *r, struct connection *c, int32_t id, const char *server_name, int32_t at,
                  uint32_t offset, uint32_t length);
void tls_free(struct connection *c);
void tls_received(struct reactor *r, struct connection *c, uint32_t offset, uint32_t length);
/* Goes on with ciphertext that was kept at tls_start(). */
void tls_resume(struct reactor *r, struct connection *c);
void tls_send(struct reactor *r, struct connection *c, uint32_t offset, uint32_t length);
/* Queues a close_notify. */
void tls_finish(struct connection *c);
/* Why OpenSSL has given up; NULL: it hasn't. */
const char *tls_reason(const struct connection *c);
/* After SECURED; to be freed. */
void tls_describe(const struct connection *c, struct tls_description *out);
void tls_description_free(struct tls_description *d);
#else
/* No connection has a TLS state then. */
static inline void tls_close(struct reactor *r) { (void)r; }
static inline void tls_free(struct connection *c) { (void)c; }
static inline void tls_received(struct reactor *r, struct connection *c, uint32_t offset, uint32_t length) {
  (void)r, (void)c, (void)offset, (void)length;
}
static inline void tls_resume(struct reactor *r, struct connection *c) { (void)r, (void)c; }
static inline void tls_send(struct reactor *r, struct connection *c, uint32_t offset, uint32_t length) {
  (void)r, (void)c, (void)offset, (void)length;
}
static inline void tls_finish(struct connection *c) { (void)c; }
#endif

/* Drivers. */
extern const struct driver uring_driver;
extern const struct driver epoll_driver;
/* NULL when the kernel has what the driver needs, otherwise why not (written into `reason`). */
const char *uring_probe(char *reason, size_t size);
const char *epoll_probe(char *reason, size_t size);

#endif
