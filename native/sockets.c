/* Addresses, descriptors and listeners: the rare calls, made one by one. */
#include "reactor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

int64_t clock_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

double clock_exact_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1000000;
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

static const struct {
  int level, name;
} OPTIONS[SOCKET_OPTIONS] = {{SOL_SOCKET, SO_KEEPALIVE}, {IPPROTO_TCP, TCP_KEEPIDLE},     {IPPROTO_TCP, TCP_KEEPINTVL},
                             {IPPROTO_TCP, TCP_KEEPCNT}, {IPPROTO_TCP, TCP_USER_TIMEOUT}, {SOL_SOCKET, SO_SNDBUF},
                             {SOL_SOCKET, SO_RCVBUF}};
enum { SEND_BUFFER = 5 }; /* its place among them */
/* The kernel makes no send buffer smaller. */
#define SEND_BUFFER_AT_LEAST 4096

static void defer_accept(const struct reactor *r, const struct listener *l) {
  if (l->tcp && l->fd >= 0) set_option(l->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, r->defer_accept);
}

void socket_options_set(struct reactor *r, const int32_t *values, bool defer) {
  r->has_socket_options = false;
  for (int i = 0; i < SOCKET_OPTIONS; i++) {
    r->socket_options[i] = values[i];
    if (values[i] >= 0) r->has_socket_options = true;
  }
  int32_t buffer = values[SEND_BUFFER];
  r->send_limit = buffer <= 0 ? UINT32_MAX : buffer < SEND_BUFFER_AT_LEAST ? SEND_BUFFER_AT_LEAST : (uint32_t)buffer;
  if (r->defer_accept == defer) return;
  r->defer_accept = defer;
  for (uint32_t i = 0; i < r->listener_count; i++) defer_accept(r, &r->listeners[i]);
}

void socket_options_apply(const struct reactor *r, int fd) {
  for (int i = 0; i < SOCKET_OPTIONS && r->has_socket_options; i++) {
    if (r->socket_options[i] >= 0) set_option(fd, OPTIONS[i].level, OPTIONS[i].name, r->socket_options[i]);
  }
}

int dialling_socket(const struct reactor *r, const union address *a, bool nonblocking) {
  int fd = socket_for(a, nonblocking);
  if (fd >= 0 && a->any.sa_family != AF_UNIX) socket_options_apply(r, fd);
  return fd;
}

static int fail_listen(int fd) {
  int error = errno;
  close(fd);
  return -error;
}

int listen_tcp(const char *host, int port, int backlog, bool reuse_port) {
  union address address;
  int error = address_parse(host, port, &address);
  if (error < 0) return error;
  /* Accepted sockets inherit TCP_NODELAY and SO_KEEPALIVE from this one. Descriptors of listeners never block:
     another process may have taken the connection that woke us. */
  int fd = socket_for(&address, true);
  if (fd < 0) return fd;
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (reuse_port) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (address.any.sa_family == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (bind(fd, &address.any, address_length(&address)) < 0 || listen(fd, backlog) < 0) return fail_listen(fd);
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

int listen_inherited(int fd, int backlog) {
  char place[sizeof(union address)];
  listening_place(fd, place, sizeof place);
  if (!place[0]) return -EINVAL;
  if (place[0] != '/') {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  }
  int flags = fcntl(fd, F_GETFL);
  if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return -errno;
  return listen(fd, backlog) < 0 ? -errno : 0; /* it listens already: this sets the backlog */
}

void listening_place(int fd, char *out, size_t size) {
  union address address;
  memset(&address, 0, sizeof address);
  socklen_t length = sizeof address;
  int listens = 0;
  socklen_t flag = sizeof listens;
  out[0] = '\0';
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &flag) < 0 || !listens) return;
  if (getsockname(fd, &address.any, &length) < 0) return;
  if (address.any.sa_family == AF_UNIX) snprintf(out, size, "%.*s", (int)sizeof address.un.sun_path, address.un.sun_path);
  else address_format(&address, out, size);
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

int listener_add(struct reactor *r, struct listener l) {
  if (r->listener_count == MAX_LISTENERS) {
    close(l.fd);
    free(l.socket_path);
    return -E2BIG;
  }
  r->listeners[r->listener_count++] = l;
  if (r->defer_accept) defer_accept(r, &l);
  r->listeners_changed = true;
  return l.fd;
}

void listeners_close(struct reactor *r, enum listeners_end how) {
  bool handed_over = how == LISTENERS_HANDED_OVER;
  for (uint32_t i = 0; i < r->listener_count; i++) {
    struct listener *l = &r->listeners[i];
    if (how == LISTENERS_TCP && !l->tcp) continue;
    if (l->fd >= 0) {
      l->shared = l->shared || handed_over;
      if (l->shared) {
        r->driver->forget_listener(r, l);
      } else {
        if (l->socket_path) unlink(l->socket_path);
        /* An accept in the kernel holds the socket; this ends it at once, for every process that has it. */
        shutdown(l->fd, SHUT_RDWR);
      }
      close(l->fd);
      l->fd = -1;
    }
    free(l->socket_path);
    l->socket_path = NULL;
  }
}

/* ---- descriptors for another process ---- */

/* One message, which the kernel neither splits nor joins with others: a length, and so many bytes of text. */
struct passed {
  uint32_t length;
  char text[PASSED_TEXT_BYTES];
};

union passed_control {
  struct cmsghdr head;
  char bytes[CMSG_SPACE(MAX_LISTENERS * sizeof(int))];
};

int descriptors_send(int socket, const int *fds, size_t count, const char *text) {
  struct passed passed = {.length = (uint32_t)strlen(text)};
  if (passed.length >= PASSED_TEXT_BYTES || count == 0 || count > MAX_LISTENERS) return -EMSGSIZE;
  memcpy(passed.text, text, passed.length);
  struct iovec vector = {.iov_base = &passed, .iov_len = sizeof passed.length + passed.length};
  union passed_control control = {.head = {.cmsg_len = CMSG_LEN(count * sizeof *fds),
                                           .cmsg_level = SOL_SOCKET,
                                           .cmsg_type = SCM_RIGHTS}};
  memcpy(CMSG_DATA(&control.head), fds, count * sizeof *fds);
  struct msghdr header = {.msg_iov = &vector,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = CMSG_SPACE(count * sizeof *fds)};
  ssize_t sent = sendmsg(socket, &header, MSG_NOSIGNAL);
  if (sent < 0) return -errno;
  return (size_t)sent == vector.iov_len ? 0 : -EMSGSIZE;
}

static int receive_message(int socket, int *fds, size_t *count, char *text) {
  struct passed passed;
  union passed_control control;
  struct iovec vector = {.iov_base = &passed, .iov_len = sizeof passed};
  struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  if (got < 0) return errno == EAGAIN ? -ETIMEDOUT : -errno;
  const struct cmsghdr *head = CMSG_FIRSTHDR(&header);
  if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
    *count = (head->cmsg_len - CMSG_LEN(0)) / sizeof *fds;
    memcpy(fds, CMSG_DATA(head), *count * sizeof *fds);
  }
  bool complete = (size_t)got >= sizeof passed.length && passed.length < PASSED_TEXT_BYTES &&
                  (size_t)got == sizeof passed.length + passed.length && !(header.msg_flags & MSG_CTRUNC);
  if (!complete || *count == 0) return got == 0 ? -ECONNRESET : -EPROTO;
  memcpy(text, passed.text, passed.length);
  text[passed.length] = '\0';
  return 0;
}

int descriptors_receive(const char *path, int timeout_ms, int *fds, size_t *count, char *text) {
  union address address;
  *count = 0;
  int error = address_parse(path, -1, &address);
  if (error < 0) return error;
  int socket = socket_for(&address, false);
  if (socket < 0) return socket;
  struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); /* of connect(), while the backlog is full */
  if (connect(socket, &address.any, address_length(&address)) < 0) error = -errno;
  if (error == 0) error = receive_message(socket, fds, count, text);
  if (error == 0) return socket;
  for (size_t i = 0; i < *count; i++) close(fds[i]);
  close(socket);
  return error;
}
