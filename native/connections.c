/*
 * The table of connections: order of bytes, references on buffers, and the life of a connection from its first event
 * to its one CLOSED. Drivers move bytes and report what they found; they decide nothing here.
 */
#include "reactor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/* Behind a stalled reader, pieces smaller than this are packed together instead of holding a buffer each. */
#define PACK_BYTES 4096u

static void *map_lazily(size_t bytes) {
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

int connections_open(struct reactor *r, uint32_t capacity) {
  r->connection_capacity = capacity;
  r->send_limit = UINT32_MAX;
  r->connections = map_lazily(capacity * sizeof *r->connections);
  r->attention = map_lazily(capacity * sizeof *r->attention);
  r->reported = map_lazily(capacity * sizeof *r->reported);
  r->pausing = map_lazily(capacity * sizeof *r->pausing);
  r->first_free = r->stall_first = r->stall_last = NO_SLOT;
  r->first_free_segment = NO_SEGMENT;
  return r->connections && r->attention && r->reported && r->pausing ? 0 : -ENOMEM;
}

void connections_close(struct reactor *r) {
  for (uint32_t i = 0; r->connections && i < r->connections_made; i++) {
    struct connection *c = &r->connections[i];
    if (c->state != STATE_FREE && c->fd >= 0) close(c->fd);
    free(c->address);
    tls_free(c);
  }
  if (r->connections) munmap(r->connections, r->connection_capacity * sizeof *r->connections);
  if (r->attention) munmap(r->attention, r->connection_capacity * sizeof *r->attention);
  if (r->reported) munmap(r->reported, r->connection_capacity * sizeof *r->reported);
  if (r->pausing) munmap(r->pausing, r->connection_capacity * sizeof *r->pausing);
  free(r->segments);
  r->connections = NULL;
  r->attention = r->reported = r->pausing = NULL;
  r->segments = NULL;
}

struct connection *connection_new(struct reactor *r) {
  uint32_t slot = r->first_free;
  if (slot != NO_SLOT) {
    r->first_free = r->connections[slot].next_free;
  } else {
    if (r->connections_made == r->connection_capacity) return NULL;
    slot = r->connections_made++;
  }
  struct connection *c = &r->connections[slot];
  uint32_t generation = (c->generation + 1) & 0xffffff;
  uint32_t listed = c->flags & (ATTENTION | PAUSE_PENDING | STARVED | HEARD); /* lists that still have this number */
  *c = (struct connection){
      .fd = -1, .generation = generation, .state = STATE_RESERVED, .flags = listed, .head = NO_SEGMENT, .tail = NO_SEGMENT};
  r->pending[slot] = 0;
  return c;
}

/* What was queued is kept until here: another address of the same host may still take it. */
static void connection_free(struct reactor *r, struct connection *c) {
  connection_drop_queue(r, c);
  free(c->address);
  c->address = NULL;
  tls_free(c);
  c->state = STATE_FREE;
  c->next_free = r->first_free;
  r->first_free = slot_of(r, c);
}

void attend(struct reactor *r, struct connection *c) {
  if (c->flags & ATTENTION) return;
  c->flags |= ATTENTION;
  r->attention[r->attention_count++] = slot_of(r, c);
}

void settle_all(struct reactor *r) {
  uint32_t count = r->attention_count, taken = 0;
  while (taken < count && events_have_room(r)) {
    struct connection *c = &r->connections[r->attention[taken++]];
    c->flags &= ~ATTENTION;
    if (c->tls) tls_resume(r, c);
    r->driver->settle(r, c);
  }
  r->attention_count -= taken;
  if (r->attention_count > 0) {
    memmove(r->attention, r->attention + taken, r->attention_count * sizeof *r->attention);
  }
}

void emit(struct reactor *r, int32_t kind, int32_t connection, int32_t a, int32_t b) {
  int32_t *event = r->events + 4 * r->event_count++;
  event[0] = kind;
  event[1] = connection;
  event[2] = a;
  event[3] = b;
}

void events_release(struct reactor *r) {
  for (uint32_t i = 0; i < r->event_count; i++) {
    const int32_t *event = r->events + 4 * i;
    if (event[0] == EVENT_RECEIVED) buffer_release(r, (uint32_t)event[2] >> BUFFER_SHIFT);
  }
  r->event_count = 0;
  /* JavaScript has read their CLOSED; a number may be given away again, unless it was dialled anew meanwhile. */
  while (r->reported_count > 0) {
    struct connection *c = &r->connections[r->reported[--r->reported_count]];
    if (c->state == STATE_CLOSED) connection_free(r, c);
  }
}

/* ---- the list of stalled connections ---- */

static void stall_unlink(struct reactor *r, struct connection *c) {
  if (c->stall_previous == NO_SLOT) r->stall_first = c->stall_next;
  else r->connections[c->stall_previous].stall_next = c->stall_next;
  if (c->stall_next == NO_SLOT) r->stall_last = c->stall_previous;
  else r->connections[c->stall_next].stall_previous = c->stall_previous;
}

static void stall_append(struct reactor *r, struct connection *c) {
  uint32_t slot = slot_of(r, c);
  c->stalled_since = r->now;
  c->stall_next = NO_SLOT;
  c->stall_previous = r->stall_last;
  if (r->stall_last == NO_SLOT) r->stall_first = slot;
  else r->connections[r->stall_last].stall_next = slot;
  r->stall_last = slot;
}

static void unstall(struct reactor *r, struct connection *c) {
  if (!(c->flags & STALLED)) return;
  c->flags &= ~STALLED;
  stall_unlink(r, c);
}

void connection_stalled(struct reactor *r, struct connection *c) {
  if (c->flags & STALLED) return;
  c->flags |= STALLED;
  stall_append(r, c);
}

static struct connection *longest_stalled(struct reactor *r) {
  for (uint32_t slot = r->stall_first; slot != NO_SLOT; slot = r->connections[slot].stall_next) {
    struct connection *c = &r->connections[slot];
    if (c->state != STATE_CLOSING && c->state != STATE_CLOSED) return c;
  }
  return NULL;
}

static void evict(struct reactor *r, struct connection *c) {
  if (events_have_room(r)) emit(r, EVENT_EVICTED, (int32_t)slot_of(r, c), (int32_t)c->queued, 0);
  c->flags |= EVICTED;
  r->evicting++;
  connection_failed(r, c, ENOBUFS);
}

void evict_longest_stalled(struct reactor *r) {
  struct connection *c = longest_stalled(r);
  if (c) evict(r, c);
}

/* A reader that has taken something so lately is only slow for a moment, as far as anybody can know ... */
#define STALL_GRACE_MS 100
/* ... but nobody is heard meanwhile, so that a shortage of so long ends the patience. */
#define SHORTAGE_PATIENCE_MS 1000

int64_t evict_patiently(struct reactor *r) {
  if (r->now - r->shortage_seen > SHORTAGE_PATIENCE_MS) r->shortage_since = r->now;
  r->shortage_seen = r->now;
  struct connection *c = longest_stalled(r);
  /* What the last one held comes back first. */
  if (!c || r->evicting > 0) return INT64_MAX;
  int64_t due = c->stalled_since + STALL_GRACE_MS, end = r->shortage_since + SHORTAGE_PATIENCE_MS;
  if (end < due) due = end;
  if (r->now < due) return due;
  evict(r, c);
  return INT64_MAX;
}

void check_stalled_finishers(struct reactor *r) {
  if (r->now < r->stall_check_at) return;
  r->stall_check_at = r->now + 1000;
  for (uint32_t slot = r->stall_first; slot != NO_SLOT; slot = r->connections[slot].stall_next) {
    struct connection *c = &r->connections[slot];
    if (r->now - c->stalled_since < FINISH_STALL_MS) return;
    if (c->state == STATE_FINISHING) connection_failed(r, c, ETIMEDOUT);
  }
}

/* ---- send queues ---- */

static uint32_t segment_new(struct reactor *r) {
  uint32_t index = r->first_free_segment;
  if (index != NO_SEGMENT) {
    r->first_free_segment = r->segments[index].next;
    return index;
  }
  if (r->segments_made == r->segment_capacity) {
    uint32_t capacity = r->segment_capacity ? r->segment_capacity * 2 : 1024;
    struct segment *grown = realloc(r->segments, capacity * sizeof *grown);
    if (!grown) return NO_SEGMENT;
    r->segments = grown;
    r->segment_capacity = capacity;
  }
  return r->segments_made++;
}

static bool append_segment(struct reactor *r, struct connection *c, uint32_t offset, uint32_t length) {
  uint32_t index = segment_new(r);
  if (index == NO_SEGMENT) return false;
  r->segments[index] = (struct segment){.offset = offset, .length = length, .next = NO_SEGMENT};
  if (c->head == NO_SEGMENT) c->head = index;
  else r->segments[c->tail].next = index;
  c->tail = index;
  c->queued += length;
  c->tail_room = 0;
  return true;
}

/* Copies a small piece behind the tail of a stalled queue. False: no buffer for it. */
static bool append_packed(struct reactor *r, struct connection *c, uint32_t offset, uint32_t length) {
  if (c->tail_room >= length) {
    struct segment *tail = &r->segments[c->tail];
    memcpy(r->memory + tail->offset + tail->length, r->memory + offset, length);
    tail->length += length;
    c->queued += length;
    c->tail_room -= length;
    return true;
  }
  int32_t buffer = buffer_take(r, RESERVED_BUFFERS);
  if (buffer < 0) return false;
  uint32_t start = (uint32_t)buffer << BUFFER_SHIFT;
  memcpy(r->memory + start, r->memory + offset, length);
  if (!append_segment(r, c, start, length)) {
    buffer_release(r, (uint32_t)buffer);
    return false;
  }
  c->tail_room = BUFFER_BYTES - length;
  return true;
}

/* A range never crosses the end of its buffer: receives don't, and JavaScript splits what it stages. */
bool connection_queue(struct reactor *r, struct connection *c, uint32_t offset, uint32_t length) {
  uint32_t buffer = offset >> BUFFER_SHIFT;
  if (c->tail != NO_SEGMENT) {
    struct segment *tail = &r->segments[c->tail];
    if (tail->offset + tail->length == offset && tail->offset >> BUFFER_SHIFT == buffer) {
      tail->length += length;
      c->queued += length;
      return true;
    }
    if ((c->flags & STALLED) && length < PACK_BYTES && append_packed(r, c, offset, length)) return true;
  }
  if (!append_segment(r, c, offset, length)) return false;
  buffer_keep(r, buffer);
  return true;
}

static uint32_t pop_segment(struct reactor *r, struct connection *c) {
  uint32_t index = c->head;
  struct segment *segment = &r->segments[index];
  uint32_t length = segment->length;
  buffer_release(r, segment->offset >> BUFFER_SHIFT);
  c->head = segment->next;
  if (c->head == NO_SEGMENT) {
    c->tail = NO_SEGMENT;
    c->tail_room = 0;
  }
  segment->next = r->first_free_segment;
  r->first_free_segment = index;
  return length;
}

void connection_sent(struct reactor *r, struct connection *c, uint32_t bytes) {
  if (bytes > c->queued) bytes = c->queued; /* the queue was dropped meanwhile */
  c->queued -= bytes;
  r->pending[slot_of(r, c)] -= (int32_t)bytes;
  if (bytes > 0 && (c->flags & STALLED)) {
    stall_unlink(r, c);
    stall_append(r, c);
  }
  while (bytes > 0) {
    struct segment *segment = &r->segments[c->head];
    if (segment->length > bytes) {
      segment->offset += bytes;
      segment->length -= bytes;
      break;
    }
    bytes -= pop_segment(r, c);
  }
  if (c->head == NO_SEGMENT) unstall(r, c);
}

void connection_drop_queue(struct reactor *r, struct connection *c) {
  r->pending[slot_of(r, c)] -= (int32_t)c->queued;
  c->queued = 0;
  while (c->head != NO_SEGMENT) pop_segment(r, c);
  unstall(r, c);
}

uint32_t gather_segments(const struct reactor *r, const struct connection *c, struct iovec *vectors, uint32_t limit,
                         uint32_t *bytes) {
  uint32_t count = 0, total = 0;
  for (uint32_t i = c->head; i != NO_SEGMENT && count < limit && total < r->send_limit; i = r->segments[i].next) {
    uint32_t length = r->segments[i].length, room = r->send_limit - total;
    if (length > room) length = room;
    vectors[count].iov_base = r->memory + r->segments[i].offset;
    vectors[count++].iov_len = length;
    total += length;
  }
  *bytes = total;
  return count;
}

/* ---- commands ---- */

static void take_send(struct reactor *r, struct connection *c, uint32_t offset, uint32_t length) {
  int32_t *pending = &r->pending[slot_of(r, c)];
  if (*pending > (int32_t)r->high_water) c->flags |= CONGESTED;
  /* A connection that was never made may still be dialled at another address, with what is queued. */
  bool open = (c->state <= STATE_OPEN && !(c->flags & SEND_DEAD)) || c->address;
  if (!open) {
    *pending -= (int32_t)length;
  } else if (c->tls) {
    tls_send(r, c, offset, length);
  } else if (!connection_queue(r, c, offset, length)) {
    *pending -= (int32_t)length;
    connection_failed(r, c, ENOMEM);
  }
}

static void take_command(struct reactor *r, struct connection *c, int32_t command) {
  uint32_t slot = slot_of(r, c);
  bool alive = c->state >= STATE_RESERVED && c->state <= STATE_FINISHING;
  if (!alive) return;
  if (command == COMMAND_RESET) {
    connection_failed(r, c, 0);
  } else if (command == COMMAND_FINISH) {
    if (c->state == STATE_RESERVED || c->state == STATE_DIALLING || c->state == STATE_CONNECTING) {
      connection_failed(r, c, 0);
    } else {
      if (c->tls) tls_finish(c);
      c->state = STATE_FINISHING;
      c->flags &= ~WANT_READ;
      if (c->flags & SEND_DEAD) connection_failed(r, c, c->error);
    }
  } else if (command == COMMAND_PAUSE) {
    c->flags &= ~WANT_READ;
    if (!(c->flags & PAUSE_PENDING)) {
      c->flags |= PAUSE_PENDING;
      r->pausing[r->pausing_count++] = slot;
    }
  } else if (command == COMMAND_RESUME && c->state != STATE_FINISHING) {
    c->flags = (c->flags | WANT_READ) & ~PAUSE_SEEN;
  }
}

void pauses_take(struct reactor *r) {
  while (r->pausing_count > 0) {
    struct connection *c = &r->connections[r->pausing[--r->pausing_count]];
    c->flags &= ~PAUSE_PENDING;
    if (c->flags & WANT_READ) continue;
    c->flags |= PAUSE_SEEN;
    attend(r, c);
  }
}

void commands_take(struct reactor *r, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    const int32_t *command = r->commands + 3 * i;
    uint32_t slot = (uint32_t)command[0];
    if (slot >= r->connections_made) continue;
    struct connection *c = &r->connections[slot];
    if (c->state == STATE_FREE || c->state == STATE_CLOSED) continue;
    if (command[1] >= 0) take_send(r, c, (uint32_t)command[1], (uint32_t)command[2]);
    else take_command(r, c, command[1]);
    attend(r, c);
  }
}

bool connection_ready_to_close(struct reactor *r, struct connection *c) {
  if (c->state == STATE_FINISHING && c->head == NO_SEGMENT) {
    c->flags |= ORDERLY;
    connection_failed(r, c, c->error);
  }
  return c->state == STATE_CLOSING;
}

/* ---- what drivers have found out ---- */

struct connection *connection_accepted(struct reactor *r, int fd, const struct listener *l) {
  struct connection *c = connection_new(r);
  if (!c) return NULL;
  c->fd = fd;
  c->state = STATE_OPEN;
  c->flags |= WANT_READ;
  if (l->tcp) socket_options_apply(r, fd);
  emit(r, EVENT_ACCEPTED, (int32_t)slot_of(r, c), l->index, 0);
  attend(r, c);
  return c;
}

void connection_established(struct reactor *r, struct connection *c) {
  free(c->address);
  c->address = NULL;
  c->state = STATE_OPEN;
  c->flags |= WANT_READ;
  emit(r, EVENT_CONNECTED, (int32_t)slot_of(r, c), 0, 0);
  attend(r, c);
}

void connection_received(struct reactor *r, struct connection *c, uint32_t offset, uint32_t length) {
  if (c->state != STATE_OPEN) return;
  if (c->tls) return tls_received(r, c, offset, length);
  buffer_keep(r, offset >> BUFFER_SHIFT);
  emit(r, EVENT_RECEIVED, (int32_t)slot_of(r, c), (int32_t)offset, (int32_t)length);
}

void connection_ended(struct reactor *r, struct connection *c) {
  if (c->flags & ENDED) return;
  c->flags |= ENDED;
  if (c->flags & SEND_DEAD) connection_failed(r, c, c->error);
  else if (c->state == STATE_OPEN) emit(r, EVENT_ENDED, (int32_t)slot_of(r, c), 0, 0);
}

void connection_failed(struct reactor *r, struct connection *c, int error) {
  if (c->state == STATE_CLOSING || c->state == STATE_CLOSED) return;
  c->error = error;
  c->state = STATE_CLOSING;
  attend(r, c);
}

void connection_send_failed(struct reactor *r, struct connection *c, int error) {
  if (c->state != STATE_OPEN || (c->flags & ENDED)) {
    connection_failed(r, c, error);
    return;
  }
  /* What the peer sent before it went away is still to be read; the receive then ends by itself. */
  connection_drop_queue(r, c);
  c->error = error;
  c->flags |= SEND_DEAD;
  shutdown(c->fd, SHUT_RDWR);
  attend(r, c);
}

void connection_report_drained(struct reactor *r, struct connection *c) {
  if (!(c->flags & CONGESTED) || c->state > STATE_OPEN) return;
  if (r->pending[slot_of(r, c)] > (int32_t)r->low_water) return;
  c->flags &= ~CONGESTED;
  emit(r, EVENT_DRAINED, (int32_t)slot_of(r, c), 0, 0);
}

bool connection_close_now(struct reactor *r, struct connection *c) {
  if (!events_have_room(r)) {
    attend(r, c);
    return false;
  }
  if (c->fd >= 0) {
    /* Closing with unread bytes would send a reset, which can overtake our last message. */
    if (c->flags & ORDERLY) discard_received(c->fd);
    close(c->fd);
    c->fd = -1;
    c->interest = 0;
    accepting_retry(r, true);
  }
  if (c->flags & EVICTED) {
    c->flags &= ~EVICTED;
    r->evicting--;
    connection_drop_queue(r, c);
  }
  c->state = STATE_CLOSED;
  emit(r, EVENT_CLOSED, (int32_t)slot_of(r, c), c->error, 0);
  r->reported[r->reported_count++] = slot_of(r, c);
  return true;
}
