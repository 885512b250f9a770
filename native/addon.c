/*
 * The module that JavaScript sees: create() makes a reactor, whose wait() is called once per loop turn. Everything
 * else is rare. Mirrored by src/reactor/native-addon.ts, which documents each function.
 *
 * A reactor belongs to the thread that made it; nothing is shared between them, so the module may be loaded by any
 * number of worker threads.
 */
#include "notify.h"
#include "reactor.h"

#include <errno.h>
#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define CONTROL_HEAD_BYTES 64u

/* A reactor with what JavaScript holds of it. It is freed when the environment and both array buffers have let go. */
struct instance {
  struct reactor reactor;
  uint8_t *control;
  size_t control_bytes;
  size_t memory_bytes;
  int holders;
};

static void let_go(struct instance *instance) {
  if (--instance->holders == 0) free(instance);
}

static void close_reactor(struct reactor *r) {
  if (!r->open) return;
  r->open = false;
  listeners_close(r, LISTENERS_ALL);
  r->driver->close(r);
  connections_close(r);
  tls_close(r);
  arena_close(r);
}

static void environment_ends(void *data) {
  struct instance *instance = data;
  close_reactor(&instance->reactor);
  let_go(instance);
}

static void memory_freed(napi_env env, void *data, void *hint) {
  (void)env;
  struct instance *instance = hint;
  munmap(data, instance->memory_bytes);
  let_go(instance);
}

static void control_freed(napi_env env, void *data, void *hint) {
  (void)env;
  struct instance *instance = hint;
  munmap(data, instance->control_bytes);
  let_go(instance);
}

/* ---- arguments and results ---- */

#define MAX_ARGUMENTS 8

struct call {
  napi_env env;
  size_t count;
  napi_value arguments[MAX_ARGUMENTS];
  struct instance *instance;
};

/* False, with an exception pending, when the reactor is closed already. */
static bool begin(napi_env env, napi_callback_info info, struct call *call) {
  void *data = NULL;
  call->env = env;
  call->count = MAX_ARGUMENTS;
  napi_get_cb_info(env, info, &call->count, call->arguments, NULL, &data);
  call->instance = data;
  if (data && !call->instance->reactor.open) {
    napi_throw_error(env, "ERR_REACTOR_CLOSED", "the reactor is closed");
    return false;
  }
  return true;
}

static int32_t int_argument(const struct call *call, size_t index) {
  int32_t value = 0;
  if (index < call->count) napi_get_value_int32(call->env, call->arguments[index], &value);
  return value;
}

static void text_argument(const struct call *call, size_t index, char *out, size_t size) {
  out[0] = '\0';
  if (index < call->count) napi_get_value_string_utf8(call->env, call->arguments[index], out, size, NULL);
}

static napi_value int_result(napi_env env, int32_t value) {
  napi_value result;
  napi_create_int32(env, value, &result);
  return result;
}

static napi_value text_result(napi_env env, const char *text) {
  napi_value result;
  if (text) napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &result);
  else napi_get_null(env, &result);
  return result;
}

/* ---- per turn ---- */

static napi_value js_wait(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  struct reactor *r = &call.instance->reactor;
  int32_t commands = int_argument(&call, 0), timeout = int_argument(&call, 1);
  r->now = clock_ms();
  pauses_take(r);
  commands_take(r, (uint32_t)commands);
  staging_release_retired(r);
  events_release(r);
  check_stalled_finishers(r);
  accepting_retry(r, false);
  r->driver->turn(r, r->now + (timeout < 0 ? 0 : timeout));
  *r->clock = clock_exact_ms();
  return int_result(env, (int32_t)r->event_count);
}

static napi_value js_flush(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  commands_take(&call.instance->reactor, (uint32_t)int_argument(&call, 0));
  return NULL;
}

static napi_value js_take_staging(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  return int_result(env, staging_take(&call.instance->reactor));
}

/* ---- rare ---- */

static napi_value js_reserve(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  struct reactor *r = &call.instance->reactor;
  struct connection *c = connection_new(r);
  return int_result(env, c ? (int32_t)slot_of(r, c) : -1);
}

static napi_value js_dial(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  struct reactor *r = &call.instance->reactor;
  uint32_t slot = (uint32_t)int_argument(&call, 0);
  char host[256];
  text_argument(&call, 1, host, sizeof host);
  if (slot >= r->connections_made) return int_result(env, -EBADF);
  struct connection *c = &r->connections[slot];
  if (c->state != STATE_RESERVED && c->state != STATE_CLOSED) return int_result(env, -EISCONN);
  union address *address = c->address ? c->address : malloc(sizeof *address);
  if (!address) return int_result(env, -ENOMEM);
  int error = address_parse(host, int_argument(&call, 2), address);
  c->address = address;
  if (error == 0) {
    c->state = STATE_DIALLING;
    c->error = 0;
    attend(r, c);
  }
  return int_result(env, error);
}

static napi_value add_listener(struct call *call, struct listener l) {
  if (l.fd < 0) return int_result(call->env, l.fd);
  l.index = int_argument(call, 0);
  return int_result(call->env, listener_add(&call->instance->reactor, l));
}

static napi_value js_listen_tcp(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  char host[64];
  text_argument(&call, 1, host, sizeof host);
  int fd = listen_tcp(host, int_argument(&call, 2), int_argument(&call, 3), int_argument(&call, 4) != 0);
  return add_listener(&call, (struct listener){.fd = fd, .tcp = true});
}

static napi_value js_listen_unix(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  char path[256];
  text_argument(&call, 1, path, sizeof path);
  int fd = listen_unix(path, int_argument(&call, 2), int_argument(&call, 3));
  return add_listener(&call, (struct listener){.fd = fd, .socket_path = fd < 0 ? NULL : strdup(path)});
}

static napi_value js_listen_inherited(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  int fd = int_argument(&call, 1);
  int error = listen_inherited(fd, int_argument(&call, 2));
  if (error < 0) return int_result(env, error);
  char path[256];
  text_argument(&call, 4, path, sizeof path);
  struct listener l = {.fd = fd, .tcp = !path[0], .shared = int_argument(&call, 3) != 0};
  if (path[0]) l.socket_path = strdup(path);
  return add_listener(&call, l);
}

static napi_value js_tune_sockets(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  int32_t values[SOCKET_OPTIONS];
  for (size_t i = 0; i < SOCKET_OPTIONS; i++) values[i] = int_argument(&call, i);
  socket_options_set(&call.instance->reactor, values, int_argument(&call, SOCKET_OPTIONS) != 0);
  return NULL;
}

static napi_value js_close_listeners(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  listeners_close(&call.instance->reactor, (enum listeners_end)int_argument(&call, 0));
  return NULL;
}

static napi_value js_local_address(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  struct reactor *r = &call.instance->reactor;
  uint32_t slot = (uint32_t)int_argument(&call, 0);
  int fd = slot < r->connections_made ? r->connections[slot].fd : -1;
  union address address = {.any = {.sa_family = AF_UNSPEC}};
  socklen_t length = sizeof address;
  char text[80] = "";
  if (fd >= 0 && getsockname(fd, &address.any, &length) == 0) address_format(&address, text, sizeof text);
  return text_result(env, text);
}

static napi_value js_peer_address(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  struct reactor *r = &call.instance->reactor;
  uint32_t slot = (uint32_t)int_argument(&call, 0);
  union address address = {.any = {.sa_family = AF_UNSPEC}};
  char text[80] = "";
  if (slot < r->connections_made) {
    const struct connection *c = &r->connections[slot];
    socklen_t length = sizeof address;
    if (c->fd < 0 || getpeername(c->fd, &address.any, &length) < 0) {
      address = c->address ? *c->address : (union address){.any = {.sa_family = AF_UNSPEC}};
    }
    if (address.any.sa_family != AF_UNSPEC) address_format(&address, text, sizeof text);
  }
  return text_result(env, text);
}

static napi_value js_peer_credentials(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  struct reactor *r = &call.instance->reactor;
  uint32_t slot = (uint32_t)int_argument(&call, 0);
  struct ucred peer;
  socklen_t length = sizeof peer;
  int fd = slot < r->connections_made ? r->connections[slot].fd : -1;
  /* For a connection by TCP the kernel gives an answer without a process. */
  if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.pid == 0) {
    return text_result(env, NULL);
  }
  napi_value result, uid;
  napi_create_array_with_length(env, 2, &result);
  napi_create_uint32(env, peer.uid, &uid);
  napi_set_element(env, result, 0, uid);
  napi_set_element(env, result, 1, int_result(env, peer.pid));
  return result;
}

static napi_value js_destroy(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  close_reactor(&call.instance->reactor);
  return NULL;
}

static int64_t option(napi_env env, napi_value options, const char *name) {
  napi_value value;
  int64_t number = 0;
  if (napi_get_named_property(env, options, name, &value) == napi_ok) napi_get_value_int64(env, value, &number);
  return number;
}

#ifdef SLUICE_TLS

/* To be freed. */
static char *text_option(napi_env env, napi_value options, const char *name) {
  napi_value value;
  size_t length = 0;
  napi_get_named_property(env, options, name, &value);
  napi_get_value_string_utf8(env, value, NULL, 0, &length);
  char *text = calloc(1, length + 1);
  if (text) napi_get_value_string_utf8(env, value, text, length + 1, &length);
  return text;
}

static napi_value js_tls_context(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  napi_value o = call.arguments[0];
  static const char *const names[] = {"certificate",  "key",    "authorities",        "ciphers",
                                      "cipherSuites", "curves", "applicationProtocol"};
  enum { TEXTS = sizeof names / sizeof *names };
  char *texts[TEXTS];
  bool complete = true;
  for (size_t i = 0; i < TEXTS; i++) {
    texts[i] = text_option(env, o, names[i]);
    complete = complete && texts[i];
  }
  struct tls_options options = {.accepts = option(env, o, "accepts") != 0,
                                .verify = (int)option(env, o, "verify"),
                                .min_version = (int)option(env, o, "minVersion"),
                                .max_version = (int)option(env, o, "maxVersion"),
                                .version_options = (uint64_t)option(env, o, "versionOptions"),
                                .certificate = texts[0],
                                .key = texts[1],
                                .authorities = texts[2],
                                .ciphers = texts[3],
                                .cipher_suites = texts[4],
                                .curves = texts[5],
                                .protocol = texts[6]};
  const char *reason = "out of memory";
  int32_t id = complete ? tls_context_new(&call.instance->reactor, &options, &reason) : -1;
  for (size_t i = 0; i < TEXTS; i++) {
    if (texts[i]) explicit_bzero(texts[i], strlen(texts[i]));
    free(texts[i]);
  }
  if (id < 0) napi_throw_error(env, "ERR_TLS_CONTEXT", reason);
  return int_result(env, id);
}

static napi_value js_tls_context_free(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  tls_context_forget(&call.instance->reactor, int_argument(&call, 0));
  return NULL;
}

/* NULL where there is no such connection, or none with TLS. */
static struct connection *tls_connection(struct call *call) {
  struct reactor *r = &call->instance->reactor;
  uint32_t slot = (uint32_t)int_argument(call, 0);
  return slot < r->connections_made && r->connections[slot].tls ? &r->connections[slot] : NULL;
}

static napi_value js_start_tls(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  struct reactor *r = &call.instance->reactor;
  uint32_t slot = (uint32_t)int_argument(&call, 0);
  char name[256];
  text_argument(&call, 2, name, sizeof name);
  if (slot >= r->connections_made) return int_result(env, -EBADF);
  return int_result(env, tls_start(r, &r->connections[slot], int_argument(&call, 1), name, int_argument(&call, 3),
                                   (uint32_t)int_argument(&call, 4), (uint32_t)int_argument(&call, 5)));
}

static napi_value js_tls_facts(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  struct connection *c = tls_connection(&call);
  if (!c) return text_result(env, NULL);
  struct tls_description d;
  tls_describe(c, &d);
  napi_value result, value = text_result(env, NULL);
  napi_create_array_with_length(env, 4, &result);
  napi_set_element(env, result, 0, text_result(env, d.version));
  napi_set_element(env, result, 1, text_result(env, d.cipher));
  if (d.protocol_length > 0) napi_create_string_utf8(env, d.protocol, d.protocol_length, &value);
  napi_set_element(env, result, 2, value);
  value = text_result(env, NULL);
  if (d.peer_length > 0) {
    void *bytes;
    napi_create_arraybuffer(env, (size_t)d.peer_length, &bytes, &value);
    memcpy(bytes, d.peer, (size_t)d.peer_length);
  }
  napi_set_element(env, result, 3, value);
  tls_description_free(&d);
  return result;
}

static napi_value js_tls_error(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call)) return NULL;
  struct connection *c = tls_connection(&call);
  return text_result(env, c ? tls_reason(c) : NULL);
}

#endif

/* ---- making one ---- */

static int open_reactor(struct instance *instance, size_t arena_bytes, uint32_t capacity) {
  struct reactor *r = &instance->reactor;
  size_t pending_at = CONTROL_HEAD_BYTES + sizeof(int32_t) * (3 * COMMAND_CAPACITY + 4 * EVENT_CAPACITY);
  instance->control_bytes = pending_at + sizeof(int32_t) * capacity;
  instance->control = mmap(NULL, instance->control_bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (instance->control == MAP_FAILED) return -errno;
  r->clock = (double *)instance->control;
  r->commands = (int32_t *)(instance->control + CONTROL_HEAD_BYTES);
  r->events = r->commands + 3 * COMMAND_CAPACITY;
  r->pending = (int32_t *)(instance->control + pending_at);
  r->now = clock_ms();
  *r->clock = clock_exact_ms();
  int error = arena_open(r, arena_bytes);
  if (error == 0) error = connections_open(r, capacity);
  instance->memory_bytes = (size_t)r->buffer_count << BUFFER_SHIFT;
  return error < 0 ? error : r->driver->open(r);
}

struct method {
  const char *name;
  napi_callback function;
};

static const struct method METHODS[] = {
    {"wait", js_wait},           {"flush", js_flush},
    {"takeStaging", js_take_staging}, {"reserve", js_reserve},
    {"dial", js_dial},           {"listenTcp", js_listen_tcp},
    {"listenUnix", js_listen_unix}, {"listenInherited", js_listen_inherited},
    {"closeListeners", js_close_listeners}, {"tuneSockets", js_tune_sockets},
    {"localAddress", js_local_address}, {"peerAddress", js_peer_address},
    {"peerCredentials", js_peer_credentials},
    {"destroy", js_destroy},
};

#ifdef SLUICE_TLS
static const struct method TLS_METHODS[] = {
    {"tlsContext", js_tls_context}, {"tlsContextFree", js_tls_context_free}, {"startTls", js_start_tls},
    {"tlsFacts", js_tls_facts},     {"tlsError", js_tls_error},
};
#endif

static void set_methods(napi_env env, napi_value object, void *data, const struct method *methods, size_t count) {
  for (size_t i = 0; i < count; i++) {
    napi_value value;
    napi_create_function(env, methods[i].name, NAPI_AUTO_LENGTH, methods[i].function, data, &value);
    napi_set_named_property(env, object, methods[i].name, value);
  }
}

static napi_value reactor_object(napi_env env, struct instance *instance) {
  napi_value object, value;
  napi_create_object(env, &object);
  set_methods(env, object, instance, METHODS, sizeof METHODS / sizeof *METHODS);
#ifdef SLUICE_TLS
  if (tls_available()) set_methods(env, object, instance, TLS_METHODS, sizeof TLS_METHODS / sizeof *TLS_METHODS);
#endif
  instance->holders = 3;
  napi_add_env_cleanup_hook(env, environment_ends, instance);
  napi_create_external_arraybuffer(env, instance->reactor.memory, instance->memory_bytes, memory_freed, instance,
                                   &value);
  napi_set_named_property(env, object, "memory", value);
  napi_create_external_arraybuffer(env, instance->control, instance->control_bytes, control_freed, instance, &value);
  napi_set_named_property(env, object, "control", value);
  napi_set_named_property(env, object, "commandCapacity", int_result(env, COMMAND_CAPACITY));
  napi_set_named_property(env, object, "eventCapacity", int_result(env, EVENT_CAPACITY));
  napi_set_named_property(env, object, "bufferBytes", int_result(env, BUFFER_BYTES));
  return object;
}

static napi_value js_create(napi_env env, napi_callback_info info) {
  struct call call;
  begin(env, info, &call);
  char driver[16];
  text_argument(&call, 0, driver, sizeof driver);
  napi_value options = call.arguments[1];
  struct instance *instance = calloc(1, sizeof *instance);
  int error = -ENOMEM;
  if (instance) {
    struct reactor *r = &instance->reactor;
    r->driver = strcmp(driver, "uring") == 0 ? &uring_driver : &epoll_driver;
    r->wake_fd = (int)option(env, options, "wakeDescriptor");
    r->high_water = (uint32_t)option(env, options, "highWaterBytes");
    r->low_water = (uint32_t)option(env, options, "lowWaterBytes");
    r->open = true;
    error = open_reactor(instance, (size_t)option(env, options, "arenaBytes"),
                         (uint32_t)option(env, options, "maxConnections"));
    if (error == 0) return reactor_object(env, instance);
    close_reactor(r);
    if (r->memory) munmap(r->memory, instance->memory_bytes);
    if (instance->control && instance->control != MAP_FAILED) munmap(instance->control, instance->control_bytes);
    free(instance);
  }
  napi_throw_error(env, "ERR_REACTOR_OPEN", strerror(-error));
  return NULL;
}

static napi_value js_probe(napi_env env, napi_callback_info info) {
  struct call call;
  begin(env, info, &call);
  char driver[16], reason[256] = "";
  text_argument(&call, 0, driver, sizeof driver);
  bool uring = strcmp(driver, "uring") == 0;
  return text_result(env, uring ? uring_probe(reason, sizeof reason) : epoll_probe(reason, sizeof reason));
}

static napi_value js_create_wake_descriptor(napi_env env, napi_callback_info info) {
  (void)info;
  int fd = eventfd(0, EFD_CLOEXEC);
  return int_result(env, fd < 0 ? -errno : fd);
}

static napi_value js_listening_place(napi_env env, napi_callback_info info) {
  struct call call;
  begin(env, info, &call);
  char place[sizeof(union address)];
  listening_place(int_argument(&call, 0), place, sizeof place);
  return text_result(env, place[0] ? place : NULL);
}

/* For listeners of other drivers: the descriptor, or a negative errno. */
static napi_value js_bind_socket_file(napi_env env, napi_callback_info info) {
  struct call call;
  begin(env, info, &call);
  char path[256];
  text_argument(&call, 0, path, sizeof path);
  return int_result(env, listen_unix(path, int_argument(&call, 1), int_argument(&call, 2)));
}

static napi_value js_send_descriptors(napi_env env, napi_callback_info info) {
  struct call call;
  begin(env, info, &call);
  int fds[MAX_LISTENERS];
  char text[PASSED_TEXT_BYTES];
  uint32_t count = 0;
  napi_get_array_length(env, call.arguments[1], &count);
  if (count > MAX_LISTENERS) return int_result(env, -E2BIG);
  for (uint32_t i = 0; i < count; i++) {
    napi_value fd;
    napi_get_element(env, call.arguments[1], i, &fd);
    if (napi_get_value_int32(env, fd, &fds[i]) != napi_ok) return int_result(env, -EINVAL);
  }
  text_argument(&call, 2, text, sizeof text);
  return int_result(env, descriptors_send(int_argument(&call, 0), fds, count, text));
}

static napi_value js_receive_descriptors(napi_env env, napi_callback_info info) {
  struct call call;
  begin(env, info, &call);
  int fds[MAX_LISTENERS];
  char path[256], text[PASSED_TEXT_BYTES];
  size_t count;
  text_argument(&call, 0, path, sizeof path);
  int socket = descriptors_receive(path, int_argument(&call, 1), fds, &count, text);
  if (socket < 0) return int_result(env, socket);
  napi_value result;
  napi_create_array_with_length(env, 2 + count, &result);
  napi_set_element(env, result, 0, int_result(env, socket));
  napi_set_element(env, result, 1, text_result(env, text));
  for (uint32_t i = 0; i < count; i++) napi_set_element(env, result, 2 + i, int_result(env, fds[i]));
  return result;
}

NAPI_MODULE_INIT() {
  static const struct method functions[] = {
      {"create", js_create},
      {"probe", js_probe},
      {"createWakeDescriptor", js_create_wake_descriptor},
      {"listeningPlace", js_listening_place},
      {"bindSocketFile", js_bind_socket_file},
      {"sendDescriptors", js_send_descriptors},
      {"receiveDescriptors", js_receive_descriptors},
      {"notify", js_notify}};
  set_methods(env, exports, NULL, functions, sizeof functions / sizeof *functions);
  bool has_tls = false;
#ifdef SLUICE_TLS
  has_tls = tls_available();
#endif
  napi_value value;
  napi_get_boolean(env, has_tls, &value);
  napi_set_named_property(env, exports, "hasTls", value);
  return exports;
}
