/*
 * The epoll driver, for kernels without a usable io_uring: the same batches, with one system call per transfer.
 * Level-triggered: one receive per readable connection and turn where that takes all there is; EPOLLOUT only after
 * a short send. A registration is changed when an event shows that it is needed, not when a pause begins.
 */
#include "reactor.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#define READY_CAPACITY 512
/* Full buffers that one connection may fill in a turn before others get theirs. */
#define RECEIVES_PER_TURN 8
/* A receive buffer with less room than this is replaced. */
#define LEAST_ROOM 4096u
/* Without a buffer, who can't be heard would be reported again at once. */
#define STARVED_NAP_MS 1
/* user data of what is no connection: listeners count on from LISTENER_KEY */
#define WAKE_KEY (1ull << 62)
#define LISTENER_KEY (1ull << 63)

struct epoll {
  int fd;
  int32_t buffer;      /* the receive buffer being filled, or -1 */
  uint32_t filled;
  bool starved;        /* somebody could not be heard in this turn for want of a buffer */
  struct epoll_event ready[READY_CAPACITY];
};

static int control(struct reactor *r, int operation, int fd, uint32_t events, uint64_t key) {
  struct epoll_event event = {.events = events, .data.u64 = key};
  return epoll_ctl(((struct epoll *)r->driver_state)->fd, operation, fd, &event);
}

/* Registers what the connection waits for now, where that has changed. */
static void register_interest(struct reactor *r, struct connection *c) {
  bool reads = c->state == STATE_OPEN && !(c->flags & ENDED);
  if (!(c->flags & WANT_READ) && (c->flags & PAUSE_SEEN)) reads = false;
  bool writes = c->state == STATE_CONNECTING || (c->flags & STALLED);
  uint32_t interest = (reads ? EPOLLIN | EPOLLRDHUP : 0u) | (writes ? EPOLLOUT : 0u);
  if (interest == c->interest) return;
  /* With no interest left it must go, for EPOLLHUP can't be masked. */
  int operation = c->interest == 0 ? EPOLL_CTL_ADD : interest == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  uint64_t key = (uint64_t)c->generation << 32 | slot_of(r, c);
  if (control(r, operation, c->fd, interest, key) < 0) connection_failed(r, c, errno);
  else c->interest = interest;
}

static void dial(struct reactor *r, struct connection *c) {
  c->fd = dialling_socket(r, c->address, true);
  if (c->fd < 0) {
    int error = -c->fd;
    c->fd = -1;
    return connection_failed(r, c, error);
  }
  c->state = STATE_CONNECTING;
  if (connect(c->fd, &c->address->any, address_length(c->address)) == 0) connection_established(r, c);
  else if (errno != EINPROGRESS) connection_failed(r, c, errno);
}

static void send_queue(struct reactor *r, struct connection *c) {
  while (c->head != NO_SEGMENT) {
    struct iovec vectors[MAX_IOVECS];
    uint32_t bytes;
    uint32_t count = gather_segments(r, c, vectors, MAX_IOVECS, &bytes);
    struct msghdr header = {.msg_iov = vectors, .msg_iovlen = count};
    ssize_t sent = count == 1 ? send(c->fd, vectors[0].iov_base, bytes, MSG_NOSIGNAL | MSG_DONTWAIT)
                              : sendmsg(c->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM) {
      return connection_send_failed(r, c, errno);
    }
    if (sent > 0) connection_sent(r, c, (uint32_t)sent);
    if (sent < (ssize_t)bytes) return connection_stalled(r, c);
  }
}

static void epoll_settle(struct reactor *r, struct connection *c) {
  if (c->state == STATE_DIALLING) dial(r, c);
  if (c->state == STATE_OPEN || c->state == STATE_FINISHING) {
    if (c->head != NO_SEGMENT && !(c->flags & STALLED)) send_queue(r, c);
    connection_report_drained(r, c);
  }
  if (connection_ready_to_close(r, c)) {
    connection_close_now(r, c);
  } else if (c->state == STATE_CONNECTING || c->state == STATE_OPEN || c->state == STATE_FINISHING) {
    register_interest(r, c);
    if (c->state == STATE_CLOSING) connection_close_now(r, c);
  }
}

/* Makes sure that the receive buffer has room; false when the arena has none left. */
static bool have_receive_buffer(struct reactor *r) {
  struct epoll *e = r->driver_state;
  if (e->buffer >= 0) {
    if (r->references[e->buffer] == 1) e->filled = 0; /* nothing received into it is in use any more */
    if (BUFFER_BYTES - e->filled >= LEAST_ROOM) return true;
    buffer_release(r, (uint32_t)e->buffer);
  }
  e->buffer = buffer_take(r, RESERVED_BUFFERS);
  e->filled = 0;
  return e->buffer >= 0;
}

static void receive(struct reactor *r, struct connection *c) {
  struct epoll *e = r->driver_state;
  for (int i = 0; i < RECEIVES_PER_TURN && events_have_room(r); i++) {
    if (!have_receive_buffer(r)) {
      e->starved = true;
      evict_patiently(r);
      return; /* level-triggered: this connection is heard again in the next turn */
    }
    uint32_t offset = ((uint32_t)e->buffer << BUFFER_SHIFT) + e->filled;
    uint32_t room = BUFFER_BYTES - e->filled;
    ssize_t got = recv(c->fd, r->memory + offset, room, MSG_DONTWAIT);
    if (got > 0) {
      e->filled += (uint32_t)got;
      connection_received(r, c, offset, (uint32_t)got);
      if ((uint32_t)got < room) return;
      continue;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got == 0) connection_ended(r, c);
    else connection_failed(r, c, c->flags & SEND_DEAD ? c->error : errno);
    attend(r, c);
    return;
  }
}

static void connect_result(struct reactor *r, struct connection *c) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) error = errno;
  if (error == 0) connection_established(r, c);
  else connection_failed(r, c, error);
  attend(r, c);
}

static void handle(struct reactor *r, struct connection *c, uint32_t events) {
  if (c->state == STATE_CONNECTING) return connect_result(r, c);
  if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) && (c->flags & STALLED)) {
    send_queue(r, c);
    attend(r, c);
  }
  if (c->state != STATE_OPEN) return;
  bool readable = (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) && !(c->flags & ENDED);
  if (readable && (c->flags & WANT_READ)) return receive(r, c);
  if (!(c->flags & WANT_READ)) c->flags |= PAUSE_SEEN;
  attend(r, c);
}

static void accept_some(struct reactor *r, struct listener *l) {
  for (int i = 0; i < 64 && events_have_room(r); i++) {
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      if (!connection_accepted(r, fd, l)) close(fd);
      continue;
    }
    if (errno == EAGAIN) return;
    if (errno == EINTR || errno == ECONNABORTED) continue;
    control(r, EPOLL_CTL_DEL, l->fd, 0, 0);
    l->armed = false;
    return accepting_paused(r, l, errno);
  }
}

static void epoll_forget_listener(struct reactor *r, struct listener *l) {
  if (l->armed) control(r, EPOLL_CTL_DEL, l->fd, 0, 0);
  l->armed = false;
}

static void arm_listeners(struct reactor *r) {
  r->listeners_changed = false;
  for (uint32_t i = 0; i < r->listener_count; i++) {
    struct listener *l = &r->listeners[i];
    if (l->fd < 0 || l->armed || l->paused) continue;
    l->armed = control(r, EPOLL_CTL_ADD, l->fd, EPOLLIN, LISTENER_KEY | i) == 0;
  }
}

static void dispatch(struct reactor *r, const struct epoll_event *event) {
  uint64_t key = event->data.u64;
  if (key == WAKE_KEY) {
    uint64_t value;
    if (read(r->wake_fd, &value, sizeof value) > 0) emit(r, EVENT_WOKEN, 0, 0, 0);
  } else if (key & LISTENER_KEY) {
    struct listener *l = &r->listeners[key & ~LISTENER_KEY];
    if (l->fd >= 0) accept_some(r, l);
  } else {
    struct connection *c = &r->connections[key & 0xffffffff];
    if (key >> 32 == c->generation) handle(r, c, event->events);
  }
}

static void epoll_turn(struct reactor *r, int64_t deadline) {
  struct epoll *e = r->driver_state;
  for (;;) {
    settle_all(r);
    if (r->listeners_changed) arm_listeners(r);
    bool idle = r->event_count == 0 && r->attention_count == 0 && r->now < deadline;
    if (idle && e->starved) poll(NULL, 0, STARVED_NAP_MS);
    e->starved = false;
    int count = epoll_wait(e->fd, e->ready, READY_CAPACITY, idle ? (int)(deadline - r->now) : 0);
    r->now = clock_ms();
    for (int i = 0; i < count && events_have_room(r); i++) dispatch(r, &e->ready[i]);
    if (r->event_count > 0 || r->now >= deadline) return;
  }
}

static int epoll_open(struct reactor *r) {
  struct epoll *e = calloc(1, sizeof *e);
  if (!e) return -ENOMEM;
  e->buffer = -1;
  e->fd = epoll_create1(EPOLL_CLOEXEC);
  r->driver_state = e;
  if (e->fd < 0) return -errno;
  return control(r, EPOLL_CTL_ADD, r->wake_fd, EPOLLIN, WAKE_KEY) < 0 ? -errno : 0;
}

static void epoll_close(struct reactor *r) {
  struct epoll *e = r->driver_state;
  if (!e) return;
  if (e->fd >= 0) close(e->fd);
  free(e);
  r->driver_state = NULL;
}

const char *epoll_probe(char *reason, size_t size) {
  int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) {
    strncpy(reason, strerror(errno), size - 1);
    return reason;
  }
  close(fd);
  return NULL;
}

const struct driver epoll_driver = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .settle = epoll_settle,
    .forget_listener = epoll_forget_listener,
    .turn = epoll_turn};
