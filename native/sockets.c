/* Addresses, descriptors and listeners: the rare calls, made one by one. */
#include "reactor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int64_t clock_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* `port` below 0: `host` is the path of a unix socket. */
int address_parse(const char *host, int port, union address *out) {
  memset(out, 0, sizeof *out);
  if (port < 0) {
    if (strlen(host) >= sizeof out->un.sun_path) return -ENAMETOOLONG;
    out->un.sun_family = AF_UNIX;
    strcpy(out->un.sun_path, host);
    return 0;
  }
  if (inet_pton(AF_INET, host, &out->in.sin_addr) == 1) {
    out->in.sin_family = AF_INET;
    out->in.sin_port = htons((uint16_t)port);
    return 0;
  }
  if (inet_pton(AF_INET6, host, &out->in6.sin6_addr) == 1) {
    out->in6.sin6_family = AF_INET6;
    out->in6.sin6_port = htons((uint16_t)port);
    return 0;
  }
  return -EINVAL;
}

socklen_t address_length(const union address *a) {
  if (a->any.sa_family == AF_INET) return sizeof a->in;
  if (a->any.sa_family == AF_INET6) return sizeof a->in6;
  return sizeof a->un;
}

void address_format(const union address *a, char *out, size_t size) {
  char ip[INET6_ADDRSTRLEN] = "";
  if (a->any.sa_family == AF_INET) {
    inet_ntop(AF_INET, &a->in.sin_addr, ip, sizeof ip);
    snprintf(out, size, "%s:%d", ip, ntohs(a->in.sin_port));
  } else if (a->any.sa_family == AF_INET6) {
    bool mapped = IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr);
    if (mapped) inet_ntop(AF_INET, (const uint8_t *)&a->in6.sin6_addr + 12, ip, sizeof ip);
    else inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, sizeof ip);
    snprintf(out, size, mapped ? "%s:%d" : "[%s]:%d", ip, ntohs(a->in6.sin6_port));
  } else {
    snprintf(out, size, "unix");
  }
}

static void set_option(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); }

int socket_for(const union address *a, bool nonblocking) {
  int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
  if (fd < 0) return -errno;
  if (a->any.sa_family != AF_UNIX) {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  }
  return fd;
}

static int fail_listen(int fd) {
  int error = errno;
  close(fd);
  return -error;
}

int listen_tcp(const char *host, int port, int backlog, int *actual_port) {
  union address address;
  int error = address_parse(host, port, &address);
  if (error < 0) return error;
  /* Accepted sockets inherit TCP_NODELAY and SO_KEEPALIVE from this one. Descriptors of listeners never block:
     another process may have taken the connection that woke us. */
  int fd = socket_for(&address, true);
  if (fd < 0) return fd;
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.any.sa_family == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (bind(fd, &address.any, address_length(&address)) < 0 || listen(fd, backlog) < 0) return fail_listen(fd);
  socklen_t length = sizeof address;
  if (getsockname(fd, &address.any, &length) < 0) return fail_listen(fd);
  *actual_port = ntohs(address.any.sa_family == AF_INET6 ? address.in6.sin6_port : address.in.sin_port);
  return fd;
}

/* True when the file is a socket on which nobody listens any more: its process ended without removing it. */
static bool is_stale_socket(const union address *address) {
  struct stat info;
  if (lstat(address->un.sun_path, &info) < 0 || !S_ISSOCK(info.st_mode)) return false;
  int fd = socket_for(address, true);
  if (fd < 0) return false;
  bool refused = connect(fd, &address->any, address_length(address)) < 0 && errno == ECONNREFUSED;
  close(fd);
  return refused;
}

int listen_unix(const char *path, int mode, int backlog) {
  union address address;
  int error = address_parse(path, -1, &address);
  if (error < 0) return error;
  int fd = socket_for(&address, true);
  if (fd < 0) return fd;
  int bound = bind(fd, &address.any, address_length(&address));
  if (bound < 0 && errno == EADDRINUSE) {
    errno = EADDRINUSE;
    if (is_stale_socket(&address) && unlink(path) == 0) bound = bind(fd, &address.any, address_length(&address));
    else errno = EADDRINUSE;
  }
  if (bound < 0) return fail_listen(fd);
  if ((mode >= 0 && chmod(path, (mode_t)mode) < 0) || listen(fd, backlog) < 0) {
    error = fail_listen(fd);
    unlink(path);
    return error;
  }
  return fd;
}

void discard_received(int fd) {
  char scrap[16384];
  for (int i = 0; i < 64; i++) {
    ssize_t got = recv(fd, scrap, sizeof scrap, MSG_DONTWAIT);
    if (got < (ssize_t)sizeof scrap) return;
  }
}

bool out_of_descriptors(int error) { return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS; }

void accepting_paused(struct reactor *r, struct listener *l, int error) {
  l->paused = true;
  r->accept_retry_at = r->now + ACCEPT_RETRY_MS;
  if (events_have_room(r)) emit(r, EVENT_ACCEPT_PAUSED, l->index, error, 0);
}

void accepting_retry(struct reactor *r, bool descriptor_freed) {
  if (r->accept_retry_at == 0 || (!descriptor_freed && r->now < r->accept_retry_at)) return;
  r->accept_retry_at = 0;
  for (uint32_t i = 0; i < r->listener_count; i++) r->listeners[i].paused = false;
  r->listeners_changed = true;
}

void listeners_close(struct reactor *r) {
  for (uint32_t i = 0; i < r->listener_count; i++) {
    struct listener *l = &r->listeners[i];
    if (l->fd >= 0) {
      if (l->socket_path) unlink(l->socket_path);
      /* A receive or accept in the kernel holds the socket; this ends it at once. */
      shutdown(l->fd, SHUT_RDWR);
      close(l->fd);
      l->fd = -1;
    }
    free(l->socket_path);
    l->socket_path = NULL;
  }
}
