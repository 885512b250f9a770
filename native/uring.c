/*
 * The io_uring driver: one system call per loop turn, which submits every send and waits.
 *
 * - Receiving: one multishot receive per connection into a ring of provided buffers. Where the kernel can (6.12), small
 *   messages share a buffer ("incremental" buffers).
 * - Sending: a send is first tried "inline": MSG_DONTWAIT makes it complete within the submission, MSG_WAITALL makes a
 *   short one count as failed, and CQE_SKIP_SUCCESS makes success silent. So once io_uring_enter has consumed the
 *   submissions and every completion is read, a send without a completion is known to be done, and the same call can
 *   wait for the next receive. What the socket didn't take is sent again by an ordinary send, which waits for room.
 * - The ring is used by its own thread only (SINGLE_ISSUER), which also does the deferred work (DEFER_TASKRUN).
 *
 * Needs Linux 6.1. The constants that older headers lack are here; the kernel is asked at run time.
 */
#include "reactor.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef IORING_SETUP_SUBMIT_ALL
#define IORING_SETUP_SUBMIT_ALL (1U << 7)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif
#ifndef IORING_ENTER_REGISTERED_RING
#define IORING_ENTER_REGISTERED_RING (1U << 4)
#endif
#ifndef IORING_FEAT_CQE_SKIP
#define IORING_FEAT_CQE_SKIP (1U << 11)
#endif
#ifndef IORING_RECV_MULTISHOT
#define IORING_RECV_MULTISHOT (1U << 1)
#endif
#ifndef IORING_ACCEPT_MULTISHOT
#define IORING_ACCEPT_MULTISHOT (1U << 0)
#endif
#ifndef IORING_CQE_F_BUF_MORE
#define IORING_CQE_F_BUF_MORE (1U << 4)
#endif
#define SKIP_SUCCESS (1U << 6)      /* IOSQE_CQE_SKIP_SUCCESS */
#define SELECT_BUFFER (1U << 5)     /* IOSQE_BUFFER_SELECT */
#define REGISTER_RING_FDS 20
#define REGISTER_PBUF_RING 22
#define PBUF_RING_INCREMENTAL 2

#define SQ_ENTRIES 1024u
#define CQ_ENTRIES 4096u
/* Buffers that the kernel may fill: so many at first, doubled whenever it ran out, at most so many. */
#define RING_BUFFERS_AT_FIRST 64u
#define RING_BUFFERS_AT_MOST 1024u
#define RING_ENTRIES 1024u
#define VECTORS 4096u

/* How often ends and clients are looked for that the kernel has told nobody of, and of how many connections at once. */
#define MISSED_MS 1000
#define POLLED_AT_ONCE 256u

/* Layouts of the kernel's interface that headers before 5.19 lack. */
struct provided_buffer {
  uint64_t address;
  uint32_t length;
  uint16_t id;
  uint16_t tail; /* of the ring, in its first entry; reserved in the others */
};
struct provided_ring_registration {
  uint64_t address;
  uint32_t entries;
  uint16_t group;
  uint16_t flags;
  uint64_t reserved[3];
};

enum operation { OP_RECEIVE = 1, OP_SEND_INLINE, OP_SEND, OP_CONNECT, OP_ACCEPT, OP_WAKE, OP_CANCEL };

struct uring {
  int fd;
  unsigned enter_flags;
  int enter_fd;
  uint8_t *ring;
  size_t ring_size;
  struct io_uring_sqe *sqes;
  size_t sqes_size;
  uint32_t *sq_head, *sq_tail, *sq_flags, *cq_head, *cq_tail;
  uint32_t sq_mask, cq_mask, sq_entries;
  uint32_t sq_local_tail;
  struct io_uring_cqe *cqes;

  struct provided_buffer *provided;
  uint16_t provided_head;   /* the entry that the kernel fills; entries up to the tail are the kernel's */
  uint16_t provided_tail;
  uint32_t provided_target;
  bool incremental;
  uint32_t *filled;         /* per buffer: how far the kernel has filled it */

  uint32_t *inline_slots;   /* connections with an inline send in this batch */
  uint32_t inline_count;
  bool inline_urgent;       /* JavaScript or a close waits for the outcome of one of them */

  uint32_t *starved;
  uint32_t starved_count;

  uint32_t *heard;          /* connections of which something was received since they were looked at */
  uint32_t heard_count;
  int64_t missed_at;        /* when what was missed is looked for next */

  struct iovec vectors[VECTORS];
  uint32_t vectors_used;
  struct msghdr headers[SQ_ENTRIES];
  bool wake_armed;
  uint64_t wake_value;
};

static int ring_setup(unsigned entries, struct io_uring_params *p) { return (int)syscall(__NR_io_uring_setup, entries, p); }

static int ring_register(int fd, unsigned opcode, void *arg, unsigned count) {
  return (int)syscall(__NR_io_uring_register, fd, opcode, arg, count);
}

static uint64_t user_data(const struct reactor *r, enum operation op, const struct connection *c) {
  return (uint64_t)op << 56 | (uint64_t)c->generation << 32 | slot_of(r, c);
}

/* ---- submission ---- */

/* Waits for an event at most `wait_ms`; 0: not at all. */
static int enter(struct uring *u, unsigned submit, unsigned flags, int64_t wait_ms) {
  struct __kernel_timespec time = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000};
  struct io_uring_getevents_arg argument = {.ts = (uint64_t)(uintptr_t)&time};
  bool waits = wait_ms > 0;
  if (waits) flags |= IORING_ENTER_EXT_ARG;
  int result = (int)syscall(__NR_io_uring_enter, u->enter_fd, submit, waits, flags | u->enter_flags,
                            waits ? (void *)&argument : NULL, waits ? sizeof argument : 0);
  return result < 0 ? -errno : result;
}

static uint32_t unsubmitted(struct uring *u) { return u->sq_local_tail - __atomic_load_n(u->sq_head, __ATOMIC_ACQUIRE); }

static void submit(struct uring *u, unsigned flags, int64_t wait_ms) {
  __atomic_store_n(u->sq_tail, u->sq_local_tail, __ATOMIC_RELEASE);
  int result = enter(u, unsubmitted(u), flags, wait_ms);
  (void)result; /* what was not consumed is seen in sq_head, and submitted again */
  if (unsubmitted(u) == 0) u->vectors_used = 0;
}

/* The next free submission entry, zeroed. */
static struct io_uring_sqe *next_sqe(struct uring *u) {
  for (int tries = 0; unsubmitted(u) == u->sq_entries; tries++) {
    submit(u, 0, 0);
    if (tries > 1000) return NULL;
  }
  struct io_uring_sqe *sqe = &u->sqes[u->sq_local_tail++ & u->sq_mask];
  memset(sqe, 0, sizeof *sqe);
  return sqe;
}

static void cancel(struct reactor *r, uint64_t user_data) {
  struct io_uring_sqe *sqe = next_sqe(r->driver_state);
  if (!sqe) return;
  sqe->opcode = IORING_OP_ASYNC_CANCEL;
  sqe->flags = SKIP_SUCCESS;
  sqe->addr = user_data;
  sqe->user_data = (uint64_t)OP_CANCEL << 56;
}

static void arm_receive(struct reactor *r, struct connection *c) {
  struct io_uring_sqe *sqe = next_sqe(r->driver_state);
  if (!sqe) return attend(r, c);
  sqe->opcode = IORING_OP_RECV;
  sqe->flags = SELECT_BUFFER;
  sqe->ioprio = IORING_RECV_MULTISHOT;
  sqe->fd = c->fd;
  sqe->user_data = user_data(r, OP_RECEIVE, c);
  c->flags |= RECV_ARMED;
}

static void arm_listeners(struct reactor *r) {
  r->listeners_changed = false;
  for (uint32_t i = 0; i < r->listener_count; i++) {
    struct listener *l = &r->listeners[i];
    if (l->fd < 0 || l->armed || l->paused) continue;
    struct io_uring_sqe *sqe = next_sqe(r->driver_state);
    if (!sqe) return;
    sqe->opcode = IORING_OP_ACCEPT;
    sqe->ioprio = IORING_ACCEPT_MULTISHOT;
    sqe->fd = l->fd;
    sqe->accept_flags = SOCK_CLOEXEC;
    sqe->user_data = (uint64_t)OP_ACCEPT << 56 | i;
    l->armed = true;
  }
}

/* Whom the kernel has accepted already is still served. */
static void uring_forget_listener(struct reactor *r, struct listener *l) {
  if (l->armed) cancel(r, (uint64_t)OP_ACCEPT << 56 | (uint64_t)(l - r->listeners));
}

static void arm_wake(struct reactor *r) {
  struct uring *u = r->driver_state;
  struct io_uring_sqe *sqe = next_sqe(u);
  if (!sqe) return;
  sqe->opcode = IORING_OP_READ;
  sqe->fd = r->wake_fd;
  sqe->addr = (uint64_t)(uintptr_t)&u->wake_value;
  sqe->len = sizeof u->wake_value;
  sqe->user_data = (uint64_t)OP_WAKE << 56;
  u->wake_armed = true;
}

/* Sends what is queued: inline at first, by a waiting send for a connection whose socket was full. */
static void submit_send(struct reactor *r, struct connection *c) {
  struct uring *u = r->driver_state;
  bool waits = c->flags & STALLED;
  struct io_uring_sqe *sqe = next_sqe(u);
  if (!sqe || u->vectors_used + MAX_IOVECS > VECTORS) {
    if (sqe) sqe->opcode = IORING_OP_NOP, sqe->user_data = (uint64_t)OP_CANCEL << 56;
    return attend(r, c);
  }
  const struct segment *first = &r->segments[c->head];
  uint32_t bytes = first->length;
  sqe->fd = c->fd;
  if (first->next == NO_SEGMENT) {
    if (bytes > r->send_limit) bytes = r->send_limit;
    sqe->opcode = IORING_OP_SEND;
    sqe->addr = (uint64_t)(uintptr_t)(r->memory + first->offset);
    sqe->len = bytes;
  } else {
    struct iovec *vectors = u->vectors + u->vectors_used;
    struct msghdr *header = &u->headers[sqe - u->sqes];
    uint32_t count = gather_segments(r, c, vectors, MAX_IOVECS, &bytes);
    u->vectors_used += count;
    *header = (struct msghdr){.msg_iov = vectors, .msg_iovlen = count};
    sqe->opcode = IORING_OP_SENDMSG;
    sqe->addr = (uint64_t)(uintptr_t)header;
    sqe->len = 1;
  }
  if (waits) {
    sqe->msg_flags = MSG_NOSIGNAL;
    sqe->user_data = user_data(r, OP_SEND, c);
    c->flags |= SEND_ARMED;
    return;
  }
  sqe->msg_flags = MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL;
  sqe->flags = SKIP_SUCCESS;
  sqe->user_data = user_data(r, OP_SEND_INLINE, c);
  c->flags |= SEND_INLINE;
  c->submitted = bytes;
  u->inline_slots[u->inline_count++] = slot_of(r, c);
  if (c->flags & CONGESTED || c->state == STATE_FINISHING || bytes < c->queued) u->inline_urgent = true;
}

static void dial(struct reactor *r, struct connection *c) {
  c->fd = dialling_socket(r, c->address, false);
  if (c->fd < 0) {
    int error = -c->fd;
    c->fd = -1;
    connection_failed(r, c, error);
    return;
  }
  struct io_uring_sqe *sqe = next_sqe(r->driver_state);
  if (!sqe) return connection_failed(r, c, EAGAIN);
  sqe->opcode = IORING_OP_CONNECT;
  sqe->fd = c->fd;
  sqe->addr = (uint64_t)(uintptr_t)c->address;
  sqe->off = address_length(c->address);
  sqe->user_data = user_data(r, OP_CONNECT, c);
  c->state = STATE_CONNECTING;
  c->flags |= CONNECT_ARMED;
}

/* True when the kernel has nothing of this connection's any more. */
static bool withdraw(struct reactor *r, struct connection *c) {
  if ((c->flags & RECV_ARMED) && !(c->flags & RECV_CANCELLING)) {
    c->flags |= RECV_CANCELLING;
    cancel(r, user_data(r, OP_RECEIVE, c));
  }
  if ((c->flags & SEND_ARMED) && !(c->flags & SEND_CANCELLING)) {
    c->flags |= SEND_CANCELLING;
    cancel(r, user_data(r, OP_SEND, c));
  }
  if ((c->flags & CONNECT_ARMED) && !(c->flags & CONNECT_CANCELLING)) {
    c->flags |= CONNECT_CANCELLING;
    cancel(r, user_data(r, OP_CONNECT, c));
  }
  return !(c->flags & (RECV_ARMED | SEND_ARMED | SEND_INLINE | CONNECT_ARMED));
}

static void uring_settle(struct reactor *r, struct connection *c) {
  if (c->state == STATE_DIALLING) dial(r, c);
  if (c->state == STATE_OPEN || c->state == STATE_FINISHING) {
    if (c->head != NO_SEGMENT && !(c->flags & (SEND_INLINE | SEND_ARMED))) submit_send(r, c);
    connection_report_drained(r, c);
    bool armed = c->flags & RECV_ARMED;
    if (c->flags & WANT_READ) {
      if (!armed && !(c->flags & (ENDED | STARVED))) arm_receive(r, c);
    } else if (armed && (c->flags & PAUSE_SEEN) && !(c->flags & RECV_CANCELLING)) {
      c->flags |= RECV_CANCELLING;
      cancel(r, user_data(r, OP_RECEIVE, c));
    }
  }
  if (connection_ready_to_close(r, c) && withdraw(r, c)) connection_close_now(r, c);
}

/* ---- provided buffers ---- */

static uint32_t provided_count(const struct uring *u) { return (uint16_t)(u->provided_tail - u->provided_head); }

/* The kernel is done with the entry that it was filling. */
static void retire_provided(struct reactor *r) {
  struct uring *u = r->driver_state;
  buffer_release(r, u->provided[u->provided_head++ & (RING_ENTRIES - 1)].id);
}

/* Returns when it is to be called again at the latest, in ms. */
static int64_t provide_buffers(struct reactor *r) {
  struct uring *u = r->driver_state;
  int64_t again = INT64_MAX;
  while (provided_count(u) < u->provided_target) {
    int32_t buffer = buffer_take(r, RESERVED_BUFFERS);
    if (buffer < 0) break;
    struct provided_buffer *entry = &u->provided[u->provided_tail & (RING_ENTRIES - 1)];
    entry->address = (uint64_t)(uintptr_t)(r->memory + ((size_t)buffer << BUFFER_SHIFT));
    entry->length = BUFFER_BYTES;
    entry->id = (uint16_t)buffer;
    u->filled[buffer] = 0;
    u->provided_tail++;
  }
  __atomic_store_n(&u->provided[0].tail, u->provided_tail, __ATOMIC_RELEASE);
  if (u->starved_count > 0 && provided_count(u) == 0) again = evict_patiently(r);
  while (u->starved_count > 0 && provided_count(u) > 0) {
    struct connection *c = &r->connections[u->starved[--u->starved_count]];
    c->flags &= ~STARVED;
    if (c->state != STATE_FREE && c->state != STATE_CLOSED) attend(r, c);
  }
  return again;
}

static void starve(struct reactor *r, struct connection *c) {
  struct uring *u = r->driver_state;
  if (u->provided_target < RING_BUFFERS_AT_MOST) u->provided_target *= 2;
  if (c->flags & STARVED) return;
  c->flags |= STARVED;
  u->starved[u->starved_count++] = slot_of(r, c);
}

/* ---- ends that the kernel forgets ---- */

/*
 * A multishot receive that is woken for a reset (or for the end of a unix socket) while bytes are still to be read may be
 * woken by nothing more when it has read them: in Linux 6.18 when more waits than it reads at once, a receive that was
 * paused before, in older kernels whenever both come together. Nobody would notice then that the peer has gone. So who
 * was heard is asked for its end a little later, and where there is one, a new receive meets it.
 */
static void hear(struct reactor *r, struct connection *c) {
  struct uring *u = r->driver_state;
  if (c->flags & HEARD) return;
  c->flags |= HEARD;
  u->heard[u->heard_count++] = slot_of(r, c);
}

/* Takes connections with a receive in the kernel from the list; returns how many. */
static uint32_t take_heard(struct reactor *r, uint32_t *slots, struct pollfd *polled) {
  struct uring *u = r->driver_state;
  uint32_t count = 0;
  while (u->heard_count > 0 && count < POLLED_AT_ONCE) {
    uint32_t slot = u->heard[--u->heard_count];
    struct connection *c = &r->connections[slot];
    c->flags &= ~HEARD;
    if (c->state != STATE_OPEN || (c->flags & (RECV_ARMED | RECV_CANCELLING | ENDED)) != RECV_ARMED) continue;
    slots[count] = slot;
    polled[count++] = (struct pollfd){.fd = c->fd, .events = POLLRDHUP};
  }
  return count;
}

static void find_missed_ends(struct reactor *r) {
  uint32_t slots[POLLED_AT_ONCE], count;
  struct pollfd polled[POLLED_AT_ONCE];
  while ((count = take_heard(r, slots, polled)) > 0) {
    int ended;
    do ended = poll(polled, count, 0);
    while (ended < 0 && errno == EINTR);
    for (uint32_t i = 0; ended > 0 && i < count; i++) {
      struct connection *c = &r->connections[slots[i]];
      if (!polled[i].revents) continue;
      c->flags |= RECV_CANCELLING; /* it is armed again as soon as that is done */
      cancel(r, user_data(r, OP_RECEIVE, c));
    }
  }
}

/*
 * The kernel tells one of those who wait at a listening socket of who connects. If that is a process that gives up waiting
 * just then, since another one takes its place, nobody accepts: not before the next one connects. So where somebody stands
 * there, a new accept meets him.
 */
static void find_missed_clients(struct reactor *r) {
  struct pollfd polled[MAX_LISTENERS];
  for (uint32_t i = 0; i < r->listener_count; i++) {
    struct listener *l = &r->listeners[i];
    bool waits = l->fd >= 0 && l->armed && !l->paused;
    polled[i] = (struct pollfd){.fd = waits ? l->fd : -1, .events = POLLIN};
  }
  int found = poll(polled, r->listener_count, 0);
  for (uint32_t i = 0; found > 0 && i < r->listener_count; i++) {
    if (polled[i].revents) cancel(r, (uint64_t)OP_ACCEPT << 56 | i); /* it is armed again as soon as that is done */
  }
}

static void find_missed(struct reactor *r) {
  struct uring *u = r->driver_state;
  u->missed_at = r->now + MISSED_MS;
  find_missed_ends(r);
  find_missed_clients(r);
}

/* ---- completion ---- */

static void complete_receive(struct reactor *r, struct connection *c, const struct io_uring_cqe *cqe) {
  struct uring *u = r->driver_state;
  if (!(cqe->flags & IORING_CQE_F_MORE)) {
    c->flags &= ~(RECV_ARMED | RECV_CANCELLING);
    attend(r, c);
  }
  if (cqe->flags & IORING_CQE_F_BUFFER) {
    uint32_t buffer = cqe->flags >> 16;
    /* Entries are used in order. An end of stream (0 bytes) need not have used an incremental buffer up, whatever its
       flags say; the next buffer's appearance tells. */
    while (buffer != u->provided[u->provided_head & (RING_ENTRIES - 1)].id && provided_count(u) > 1) retire_provided(r);
    uint32_t offset = (buffer << BUFFER_SHIFT) + u->filled[buffer];
    if (cqe->res > 0) {
      u->filled[buffer] += (uint32_t)cqe->res;
      hear(r, c);
      connection_received(r, c, offset, (uint32_t)cqe->res);
    }
    if (!(cqe->flags & IORING_CQE_F_BUF_MORE) && (cqe->res > 0 || !u->incremental)) retire_provided(r);
  }
  if (cqe->res == 0) connection_ended(r, c);
  else if (cqe->res == -ENOBUFS) starve(r, c);
  else if (cqe->res < 0 && cqe->res != -ECANCELED) {
    connection_failed(r, c, c->flags & SEND_DEAD ? c->error : -cqe->res);
  }
}

/* Only a send that failed or was short gets here. */
static void complete_inline(struct reactor *r, struct connection *c, int result) {
  c->flags |= SEND_FAILED_INLINE;
  if (result >= 0 || result == -EAGAIN || result == -ENOBUFS || result == -ENOMEM) {
    if (result > 0) connection_sent(r, c, (uint32_t)result);
    connection_stalled(r, c);
  } else {
    connection_send_failed(r, c, -result);
  }
  attend(r, c);
}

static void complete_send(struct reactor *r, struct connection *c, int result) {
  c->flags &= ~(SEND_ARMED | SEND_CANCELLING);
  if (result > 0) connection_sent(r, c, (uint32_t)result);
  else if (result < 0 && result != -ECANCELED && result != -EAGAIN && result != -EINTR) {
    connection_send_failed(r, c, -result);
  }
  attend(r, c);
}

static void complete_connect(struct reactor *r, struct connection *c, int result) {
  c->flags &= ~(CONNECT_ARMED | CONNECT_CANCELLING);
  if (c->state == STATE_CONNECTING && result == 0) connection_established(r, c);
  else connection_failed(r, c, result == 0 ? 0 : -result);
  attend(r, c);
}

static void complete_accept(struct reactor *r, const struct io_uring_cqe *cqe) {
  struct listener *l = &r->listeners[cqe->user_data & 0xffffffff];
  if (!(cqe->flags & IORING_CQE_F_MORE)) {
    l->armed = false;
    r->listeners_changed = true;
  }
  if (cqe->res >= 0) {
    bool wanted = l->fd >= 0 || l->shared;
    if (!wanted || !connection_accepted(r, cqe->res, l)) close(cqe->res);
  } else if (l->fd >= 0 && cqe->res != -ECONNABORTED && cqe->res != -EINTR && cqe->res != -ECANCELED) {
    accepting_paused(r, l, -cqe->res);
  }
}

static void complete(struct reactor *r, const struct io_uring_cqe *cqe) {
  struct uring *u = r->driver_state;
  enum operation op = (enum operation)(cqe->user_data >> 56);
  if (op == OP_CANCEL) return;
  if (op == OP_ACCEPT) return complete_accept(r, cqe);
  if (op == OP_WAKE) {
    u->wake_armed = false;
    emit(r, EVENT_WOKEN, 0, 0, 0);
    return;
  }
  struct connection *c = &r->connections[cqe->user_data & 0xffffffff];
  if ((cqe->user_data >> 32 & 0xffffff) != c->generation) return;
  if (op == OP_RECEIVE) complete_receive(r, c, cqe);
  else if (op == OP_SEND_INLINE) complete_inline(r, c, cqe->res);
  else if (op == OP_SEND) complete_send(r, c, cqe->res);
  else if (op == OP_CONNECT) complete_connect(r, c, cqe->res);
}

/* Reads completions while the event array has room; true when none is left, here or overflown in the kernel. */
static bool read_completions(struct reactor *r) {
  struct uring *u = r->driver_state;
  uint32_t head = *u->cq_head;
  uint32_t tail = __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE);
  while (head != tail && events_have_room(r)) complete(r, &u->cqes[head++ & u->cq_mask]);
  __atomic_store_n(u->cq_head, head, __ATOMIC_RELEASE);
  return head == tail && !(__atomic_load_n(u->sq_flags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW);
}

/* Every submission is consumed and every completion read: inline sends of which nothing was heard are done. */
static void finish_inline_sends(struct reactor *r) {
  struct uring *u = r->driver_state;
  for (uint32_t i = 0; i < u->inline_count; i++) {
    struct connection *c = &r->connections[u->inline_slots[i]];
    bool failed = c->flags & SEND_FAILED_INLINE;
    c->flags &= ~(SEND_INLINE | SEND_FAILED_INLINE);
    if (!failed) connection_sent(r, c, c->submitted);
    if (c->head != NO_SEGMENT || (c->flags & CONGESTED) || c->state != STATE_OPEN) attend(r, c);
  }
  u->inline_count = 0;
  u->inline_urgent = false;
}

static void uring_turn(struct reactor *r, int64_t deadline) {
  struct uring *u = r->driver_state;
  if (r->now >= u->missed_at) find_missed(r);
  for (;;) {
    int64_t again = provide_buffers(r);
    if (again < deadline) deadline = again;
    settle_all(r);
    if (r->listeners_changed) arm_listeners(r);
    if (!u->wake_armed) arm_wake(r);
    bool idle = r->event_count == 0 && r->attention_count == 0 && !u->inline_urgent && r->now < deadline;
    submit(u, IORING_ENTER_GETEVENTS, idle ? deadline - r->now : 0);
    bool all_read = read_completions(r);
    if (all_read && unsubmitted(u) == 0) finish_inline_sends(r);
    r->now = clock_ms();
    if (r->event_count > 0 || r->now >= deadline) return;
  }
}

/* ---- opening and closing ---- */

static int map_rings(struct uring *u, const struct io_uring_params *p) {
  size_t sq = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
  size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
  u->ring_size = sq > cq ? sq : cq;
  u->sqes_size = p->sq_entries * sizeof(struct io_uring_sqe);
  int protection = PROT_READ | PROT_WRITE, how = MAP_SHARED | MAP_POPULATE;
  u->ring = mmap(NULL, u->ring_size, protection, how, u->fd, IORING_OFF_SQ_RING);
  if (u->ring == MAP_FAILED) return u->ring = NULL, -errno;
  u->sqes = mmap(NULL, u->sqes_size, protection, how, u->fd, IORING_OFF_SQES);
  if (u->sqes == MAP_FAILED) return u->sqes = NULL, -errno;
  u->sq_head = (uint32_t *)(u->ring + p->sq_off.head);
  u->sq_tail = (uint32_t *)(u->ring + p->sq_off.tail);
  u->sq_flags = (uint32_t *)(u->ring + p->sq_off.flags);
  u->cq_head = (uint32_t *)(u->ring + p->cq_off.head);
  u->cq_tail = (uint32_t *)(u->ring + p->cq_off.tail);
  u->sq_mask = p->sq_entries - 1;
  u->cq_mask = p->cq_entries - 1;
  u->sq_entries = p->sq_entries;
  u->cqes = (struct io_uring_cqe *)(u->ring + p->cq_off.cqes);
  /* Entry n of the submission queue is always sqes[n]. */
  uint32_t *order = (uint32_t *)(u->ring + p->sq_off.array);
  for (uint32_t i = 0; i < p->sq_entries; i++) order[i] = i;
  return 0;
}

/* Sets a ring up with everything that the driver relies on; -errno, and what is missing in `missing`. */
static int open_ring(struct uring *u, const char **missing) {
  struct io_uring_params p = {
      .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
               IORING_SETUP_DEFER_TASKRUN,
      .cq_entries = CQ_ENTRIES,
  };
  *missing = "io_uring_setup";
  u->fd = ring_setup(SQ_ENTRIES, &p);
  if (u->fd < 0) return -errno;
  unsigned needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG |
                    IORING_FEAT_CQE_SKIP | IORING_FEAT_FAST_POLL;
  *missing = "a feature of io_uring";
  if ((p.features & needed) != needed) return -EOPNOTSUPP;
  *missing = "the rings' memory";
  int error = map_rings(u, &p);
  if (error < 0) return error;

  *missing = "a ring of provided buffers";
  size_t size = RING_ENTRIES * sizeof *u->provided;
  u->provided = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (u->provided == MAP_FAILED) return u->provided = NULL, -errno;
  struct provided_ring_registration registration = {
      .address = (uint64_t)(uintptr_t)u->provided, .entries = RING_ENTRIES, .flags = PBUF_RING_INCREMENTAL};
  u->incremental = ring_register(u->fd, REGISTER_PBUF_RING, &registration, 1) == 0;
  registration.flags = 0;
  if (!u->incremental && ring_register(u->fd, REGISTER_PBUF_RING, &registration, 1) < 0) return -errno;

  /* Spares a look-up of the descriptor at each call; does without where the kernel refuses. */
  struct io_uring_rsrc_update update = {.offset = UINT32_MAX, .data = (uint64_t)u->fd};
  bool registered = ring_register(u->fd, REGISTER_RING_FDS, &update, 1) == 1;
  u->enter_fd = registered ? (int)update.offset : u->fd;
  u->enter_flags = registered ? IORING_ENTER_REGISTERED_RING : 0;
  return 0;
}

static void close_ring(struct uring *u) {
  if (u->ring) munmap(u->ring, u->ring_size);
  if (u->sqes) munmap(u->sqes, u->sqes_size);
  if (u->fd >= 0) close(u->fd);
  if (u->provided) munmap(u->provided, RING_ENTRIES * sizeof *u->provided);
  free(u->filled);
  free(u->inline_slots);
  free(u->starved);
  free(u->heard);
  free(u);
}

static int uring_open(struct reactor *r) {
  struct uring *u = calloc(1, sizeof *u);
  if (!u) return -ENOMEM;
  u->fd = -1;
  r->driver_state = u;
  const char *missing;
  int error = open_ring(u, &missing);
  if (error < 0) return error;
  u->provided_target = RING_BUFFERS_AT_FIRST;
  u->filled = calloc(r->buffer_count, sizeof *u->filled);
  u->inline_slots = malloc(r->connection_capacity * sizeof *u->inline_slots);
  u->starved = malloc(r->connection_capacity * sizeof *u->starved);
  u->heard = malloc(r->connection_capacity * sizeof *u->heard);
  return u->filled && u->inline_slots && u->starved && u->heard ? 0 : -ENOMEM;
}

static void uring_close(struct reactor *r) {
  if (r->driver_state) close_ring(r->driver_state);
  r->driver_state = NULL;
}

const char *uring_probe(char *reason, size_t size) {
  struct uring *u = calloc(1, sizeof *u);
  if (!u) return "out of memory";
  u->fd = -1;
  const char *missing;
  int error = open_ring(u, &missing);
  close_ring(u);
  if (error == 0) return NULL;
  if (error == -EPERM) snprintf(reason, size, "the system forbids io_uring (EPERM from %s; seccomp or kernel.io_uring_disabled)", missing);
  else if (error == -ENOSYS) snprintf(reason, size, "the kernel has no io_uring (ENOSYS)");
  else if (error == -EINVAL || error == -EOPNOTSUPP) snprintf(reason, size, "the kernel's io_uring lacks what is needed (%s); Linux 6.1 or newer has it", missing);
  else snprintf(reason, size, "%s failed: %s", missing, strerror(-error));
  return reason;
}

const struct driver uring_driver = {
    .name = "uring",
    .open = uring_open,
    .close = uring_close,
    .settle = uring_settle,
    .forget_listener = uring_forget_listener,
    .turn = uring_turn};
