/*
 * One range of virtual memory cut in buffers. Only pages that were touched cost memory, and free buffers are
 * handed out last-in first-out, so that a quiet reactor touches few of them.
 */
#include "reactor.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

int arena_open(struct reactor *r, size_t bytes) {
  r->buffer_count = (uint32_t)(bytes >> BUFFER_SHIFT);
  if (r->buffer_count > MAX_BUFFERS) r->buffer_count = MAX_BUFFERS;
  if (r->buffer_count < 2 * RESERVED_BUFFERS) return -EINVAL;
  size_t size = (size_t)r->buffer_count << BUFFER_SHIFT;
  r->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (r->memory == MAP_FAILED) {
    r->memory = NULL;
    return -errno;
  }
  /* A transparent huge page would cost 2 MiB for the first byte of each. */
  madvise(r->memory, size, MADV_NOHUGEPAGE);
  r->references = calloc(r->buffer_count, sizeof *r->references);
  r->free_buffers = malloc(r->buffer_count * sizeof *r->free_buffers);
  r->staging = -1;
  return r->references && r->free_buffers ? 0 : -ENOMEM;
}

void arena_close(struct reactor *r) {
  free(r->references);
  free(r->free_buffers);
  free(r->retired);
  r->references = NULL;
  r->free_buffers = NULL;
  r->retired = NULL;
}

uint32_t buffers_left(const struct reactor *r) { return r->free_count + (r->buffer_count - r->buffers_made); }

int32_t buffer_take(struct reactor *r, uint32_t spare) {
  if (buffers_left(r) <= spare) return -1;
  uint32_t buffer = r->free_count > 0 ? r->free_buffers[--r->free_count] : r->buffers_made++;
  r->references[buffer] = 1;
  return (int32_t)buffer;
}

void buffer_release(struct reactor *r, uint32_t buffer) {
  if (--r->references[buffer] == 0) r->free_buffers[r->free_count++] = buffer;
}

int32_t staging_take(struct reactor *r) {
  if (r->staging >= 0) {
    if (r->retired_count == r->retired_capacity) {
      uint32_t capacity = r->retired_capacity ? r->retired_capacity * 2 : 16;
      uint32_t *grown = realloc(r->retired, capacity * sizeof *grown);
      if (!grown) return -1;
      r->retired = grown;
      r->retired_capacity = capacity;
    }
    r->retired[r->retired_count++] = (uint32_t)r->staging;
    r->staging = -1;
  }
  r->staging = buffer_take(r, 0);
  return r->staging < 0 ? -1 : r->staging << BUFFER_SHIFT;
}

void staging_release_retired(struct reactor *r) {
  while (r->retired_count > 0) buffer_release(r, r->retired[--r->retired_count]);
}
