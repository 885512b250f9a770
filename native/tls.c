/*
 * TLS by the OpenSSL that Node.js brings: its executable exports it, and its headers lie beside Node's own. A connection
 * with a `tls` state hands received ranges to tls_received() before they become events, and its sends to tls_send()
 * before they are queued; no other file knows that there is TLS.
 *
 * OpenSSL reads straight from the receive buffer and writes straight into buffers of the arena, by a BIO of our own:
 * nothing is kept per connection but OpenSSL's state, and the beginning of a record of which the rest hasn't come.
 * Plaintext goes to a buffer that all connections fill one after the other, as the epoll driver's receive buffer is.
 */
#include "reactor.h"

#ifdef SLUICE_TLS

#include <dlfcn.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CONTEXTS 64
/* Ciphertext that may come before the handshake is begun here: a ClientHello. */
#define EARLY_BYTES_MAX BUFFER_BYTES
/* A plaintext buffer with less room than this is replaced. */
#define LEAST_ROOM 2048u
#define REASON_BYTES 200

struct tls_context {
  SSL_CTX *ssl;
  uint32_t holders; /* its place in the table, and connections */
  bool accepts;
  unsigned char protocol[64]; /* ALPN: length, then name */
};

struct tls {
  SSL *ssl;
  struct tls_context *context;
  struct reactor *reactor;
  struct connection *connection;
  const uint8_t *input; /* ciphertext at hand */
  uint32_t input_length;
  uint8_t *early;
  uint32_t early_length;
  bool secured;
  bool failed;
  char reason[REASON_BYTES];
};

struct tls_state {
  struct tls_context *contexts[MAX_CONTEXTS];
  int32_t plain, cipher; /* buffers being filled, or -1 */
  uint32_t plain_filled, cipher_filled;
};

/* ---- between OpenSSL and the arena ---- */

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static int bio_read(BIO *bio, char *out, int wanted) {
  struct tls *t = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (t->input_length == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  uint32_t length = t->input_length < (uint32_t)wanted ? t->input_length : (uint32_t)wanted;
  memcpy(out, t->input, length);
  t->input += length;
  t->input_length -= length;
  return (int)length;
}

/* Makes sure that a shared buffer has room; false when the arena has none left. */
static bool have_room(struct reactor *r, int32_t *buffer, uint32_t *filled, uint32_t least, uint32_t spare) {
  if (*buffer >= 0) {
    if (r->references[*buffer] == 1) *filled = 0; /* nothing in it is in use any more */
    if (BUFFER_BYTES - *filled >= least) return true;
    buffer_release(r, (uint32_t)*buffer);
  }
  *buffer = buffer_take(r, spare);
  *filled = 0;
  return *buffer >= 0;
}

static int bio_write(BIO *bio, const char *data, int length) {
  struct tls *t = BIO_get_data(bio);
  struct reactor *r = t->reactor;
  struct tls_state *s = r->tls;
  struct connection *c = t->connection;
  BIO_clear_retry_flags(bio);
  for (uint32_t done = 0, left = (uint32_t)length; left > 0;) {
    if (!have_room(r, &s->cipher, &s->cipher_filled, 1, 0)) return -1;
    uint32_t room = BUFFER_BYTES - s->cipher_filled;
    uint32_t piece = left < room ? left : room;
    uint32_t offset = ((uint32_t)s->cipher << BUFFER_SHIFT) + s->cipher_filled;
    memcpy(r->memory + offset, data + done, piece);
    s->cipher_filled += piece;
    if (!connection_queue(r, c, offset, piece)) return -1;
    r->pending[slot_of(r, c)] += (int32_t)piece;
    done += piece;
    left -= piece;
  }
  attend(r, c);
  return length;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

static void make_method(void) {
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sluice");
  if (!method) return;
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_ctrl(method, bio_control);
}

/* ---- contexts ---- */

bool tls_available(void) {
  return dlsym(RTLD_DEFAULT, "SSL_CTX_new") != NULL && OpenSSL_version_num() >> 28 == OPENSSL_VERSION_MAJOR;
}

static const char *reason_of(unsigned long error) {
  const char *reason = error == 0 ? NULL : ERR_reason_error_string(error);
  return reason ? reason : "OpenSSL gives no reason";
}

/* Without it OpenSSL would ask for a passphrase on the terminal. */
static int no_passphrase(char *out, int size, int writing, void *data) {
  (void)out, (void)size, (void)writing, (void)data;
  return -1;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *offered,
                           unsigned int offered_length, void *data) {
  (void)ssl;
  const struct tls_context *context = data;
  unsigned char *chosen;
  int found = SSL_select_next_proto(&chosen, out_length, context->protocol, context->protocol[0] + 1u, offered,
                                    offered_length);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool use_certificate(SSL_CTX *ssl, const struct tls_options *o) {
  BIO *certificates = BIO_new_mem_buf(o->certificate, -1);
  X509 *first = PEM_read_bio_X509_AUX(certificates, NULL, no_passphrase, NULL);
  bool good = first && SSL_CTX_use_certificate(ssl, first) == 1;
  X509_free(first);
  while (good) {
    X509 *next = PEM_read_bio_X509(certificates, NULL, no_passphrase, NULL);
    if (!next) break; /* the end: an error that says so is left, and cleared by the caller */
    good = SSL_CTX_add0_chain_cert(ssl, next) == 1;
    if (!good) X509_free(next);
  }
  BIO_free(certificates);
  if (!good) return false;
  BIO *keys = BIO_new_mem_buf(o->key, -1);
  EVP_PKEY *key = PEM_read_bio_PrivateKey(keys, NULL, no_passphrase, NULL);
  good = key && SSL_CTX_use_PrivateKey(ssl, key) == 1 && SSL_CTX_check_private_key(ssl) == 1;
  EVP_PKEY_free(key);
  BIO_free(keys);
  return good;
}

static bool use_authorities(SSL_CTX *ssl, const struct tls_options *o) {
  BIO *authorities = BIO_new_mem_buf(o->authorities, -1);
  X509_STORE *store = SSL_CTX_get_cert_store(ssl);
  uint32_t count = 0;
  for (X509 *one; (one = PEM_read_bio_X509_AUX(authorities, NULL, no_passphrase, NULL)) != NULL; count++) {
    X509_STORE_add_cert(store, one);
    if (o->accepts) SSL_CTX_add_client_CA(ssl, one);
    X509_free(one);
  }
  BIO_free(authorities);
  return count > 0;
}

static bool configure(struct tls_context *context, const struct tls_options *o) {
  SSL_CTX *ssl = context->ssl;
  uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE;
  SSL_CTX_set_options(ssl, options | o->version_options);
  SSL_CTX_set_num_tickets(ssl, 0);
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_dh_auto(ssl, 1);
  int verify = o->verify == 0 ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
  SSL_CTX_set_verify(ssl, o->verify == 2 ? verify | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : verify, NULL);
  size_t length = strlen(o->protocol);
  if (o->accepts && length > 0 && length < sizeof context->protocol) {
    context->protocol[0] = (unsigned char)length;
    memcpy(context->protocol + 1, o->protocol, length);
    SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, context);
  }
  return SSL_CTX_set_min_proto_version(ssl, o->min_version) == 1 &&
         SSL_CTX_set_max_proto_version(ssl, o->max_version) == 1 && SSL_CTX_set_cipher_list(ssl, o->ciphers) == 1 &&
         (!*o->cipher_suites || SSL_CTX_set_ciphersuites(ssl, o->cipher_suites) == 1) &&
         (!*o->curves || SSL_CTX_set1_groups_list(ssl, o->curves) == 1) &&
         (!*o->certificate || use_certificate(ssl, o)) && (!*o->authorities || use_authorities(ssl, o));
}

static void context_release(struct tls_context *context) {
  if (--context->holders > 0) return;
  SSL_CTX_free(context->ssl);
  free(context);
}

int32_t tls_context_new(struct reactor *r, const struct tls_options *o, const char **reason) {
  *reason = "out of memory";
  pthread_once(&method_once, make_method);
  if (!r->tls) {
    r->tls = calloc(1, sizeof *r->tls);
    if (!r->tls) return -1;
    r->tls->plain = r->tls->cipher = -1;
  }
  int32_t id = 0;
  while (id < MAX_CONTEXTS && r->tls->contexts[id]) id++;
  if (id == MAX_CONTEXTS || !method) return -1;
  struct tls_context *context = calloc(1, sizeof *context);
  if (!context) return -1;
  ERR_clear_error();
  context->holders = 1;
  context->accepts = o->accepts;
  context->ssl = SSL_CTX_new(o->accepts ? TLS_server_method() : TLS_client_method());
  if (!context->ssl || !configure(context, o)) {
    *reason = reason_of(ERR_get_error());
    ERR_clear_error();
    context_release(context);
    return -1;
  }
  ERR_clear_error();
  r->tls->contexts[id] = context;
  return id;
}

void tls_context_forget(struct reactor *r, int32_t id) {
  if (!r->tls || id < 0 || id >= (int32_t)MAX_CONTEXTS || !r->tls->contexts[id]) return;
  context_release(r->tls->contexts[id]);
  r->tls->contexts[id] = NULL;
}

void tls_close(struct reactor *r) {
  for (int32_t id = 0; r->tls && id < (int32_t)MAX_CONTEXTS; id++) tls_context_forget(r, id);
  free(r->tls);
  r->tls = NULL;
}

/* ---- connections ---- */

void tls_free(struct connection *c) {
  struct tls *t = c->tls;
  if (!t) return;
  SSL_free(t->ssl);
  context_release(t->context);
  free(t->early);
  free(t);
  c->tls = NULL;
}

/* OpenSSL has given up: its alert still goes out, then the connection is closed. */
static void tls_failed(struct reactor *r, struct connection *c) {
  struct tls *t = c->tls;
  if (!t->failed) {
    unsigned long error = ERR_get_error();
    long verdict = SSL_get_verify_result(t->ssl);
    bool is_verdict = ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK;
    snprintf(t->reason, sizeof t->reason, "%s%s%s", reason_of(error), is_verdict ? ": " : "",
             is_verdict ? X509_verify_cert_error_string(verdict) : "");
  }
  t->failed = true;
  ERR_clear_error();
  if (c->state != STATE_OPEN || c->head == NO_SEGMENT) return connection_failed(r, c, EPROTO);
  c->error = EPROTO;
  c->state = STATE_FINISHING;
  c->flags &= ~WANT_READ;
  attend(r, c);
}

/* True when the handshake is over and has succeeded. */
static bool shake_hands(struct reactor *r, struct connection *c) {
  struct tls *t = c->tls;
  int result = SSL_do_handshake(t->ssl);
  if (result == 1) {
    t->secured = true;
    emit(r, EVENT_SECURED, (int32_t)slot_of(r, c), 0, 0);
    return true;
  }
  if (SSL_get_error(t->ssl, result) != SSL_ERROR_WANT_READ) tls_failed(r, c);
  return false;
}

/* Decrypts what is at hand, into as few events as buffers allow. */
static void decrypt(struct reactor *r, struct connection *c) {
  struct tls *t = c->tls;
  struct tls_state *s = r->tls;
  for (;;) {
    if (!have_room(r, &s->plain, &s->plain_filled, LEAST_ROOM, RESERVED_BUFFERS)) {
      evict_longest_stalled(r);
      if (!have_room(r, &s->plain, &s->plain_filled, LEAST_ROOM, 0)) return connection_failed(r, c, ENOBUFS);
    }
    uint32_t offset = ((uint32_t)s->plain << BUFFER_SHIFT) + s->plain_filled;
    uint32_t room = BUFFER_BYTES - s->plain_filled, filled = 0;
    int got = 1;
    bool exhausted = false; /* asking OpenSSL once more for what can't be there costs as much as a short record */
    while (!exhausted && filled < room &&
           (got = SSL_read(t->ssl, r->memory + offset + filled, (int)(room - filled))) > 0) {
      filled += (uint32_t)got;
      exhausted = t->input_length == 0 && !SSL_has_pending(t->ssl);
    }
    if (filled > 0) {
      s->plain_filled += filled;
      buffer_keep(r, offset >> BUFFER_SHIFT);
      emit(r, EVENT_RECEIVED, (int32_t)slot_of(r, c), (int32_t)offset, (int32_t)filled);
    }
    if (exhausted) return;
    if (got > 0) continue;
    int error = SSL_get_error(t->ssl, got);
    if (error == SSL_ERROR_ZERO_RETURN) connection_ended(r, c);
    else if (error != SSL_ERROR_WANT_READ) tls_failed(r, c);
    return;
  }
}

static void take_input(struct reactor *r, struct connection *c, const uint8_t *bytes, uint32_t length) {
  struct tls *t = c->tls;
  t->input = bytes;
  t->input_length = length;
  ERR_clear_error();
  if (t->secured || shake_hands(r, c)) decrypt(r, c);
  t->input_length = 0;
}

void tls_received(struct reactor *r, struct connection *c, uint32_t offset, uint32_t length) {
  /* Behind the peer's close_notify there is nothing more to hear. */
  if (!(c->flags & ENDED)) take_input(r, c, r->memory + offset, length);
}

void tls_resume(struct reactor *r, struct connection *c) {
  struct tls *t = c->tls;
  uint8_t *early = t->early;
  if (!early) return;
  t->early = NULL;
  if (c->state == STATE_OPEN) take_input(r, c, early, t->early_length);
  free(early);
}

void tls_send(struct reactor *r, struct connection *c, uint32_t offset, uint32_t length) {
  struct tls *t = c->tls;
  r->pending[slot_of(r, c)] -= (int32_t)length; /* its ciphertext is counted instead */
  if (!t->secured || t->failed) return;
  ERR_clear_error();
  if (SSL_write(t->ssl, r->memory + offset, (int)length) != (int)length) tls_failed(r, c);
}

void tls_finish(struct connection *c) {
  if (!c->tls->secured || c->tls->failed) return;
  ERR_clear_error();
  SSL_shutdown(c->tls->ssl);
  ERR_clear_error();
}

static bool keep_early(struct tls *t, const uint8_t *bytes, uint32_t length) {
  if (length == 0) return true;
  if (t->early_length + length > EARLY_BYTES_MAX) return false;
  if (!t->early) return false;
  memcpy(t->early + t->early_length, bytes, length);
  t->early_length += length;
  return true;
}

/* Takes what JavaScript has not read yet of this connection's ciphertext out of the event array. */
static bool keep_unread_events(struct reactor *r, struct connection *c, int32_t at) {
  int32_t slot = (int32_t)slot_of(r, c);
  bool is_behind = at < 0, good = true;
  for (uint32_t i = 0; i < r->event_count; i++) {
    int32_t *event = r->events + 4 * i;
    if (event[0] != EVENT_RECEIVED || event[1] != slot) continue;
    if (is_behind) {
      good = good && keep_early(c->tls, r->memory + event[2], (uint32_t)event[3]);
      buffer_release(r, (uint32_t)event[2] >> BUFFER_SHIFT);
      event[0] = EVENT_NONE;
    } else if (event[2] == at) {
      is_behind = true;
    }
  }
  return good;
}

int32_t tls_start(struct reactor *r, struct connection *c, int32_t id, const char *server_name, int32_t at,
                  uint32_t offset, uint32_t length) {
  if (c->state != STATE_OPEN || c->tls) return 0; /* it is going, which its CLOSED will tell */
  struct tls_context *context = r->tls && id >= 0 && id < (int32_t)MAX_CONTEXTS ? r->tls->contexts[id] : NULL;
  if (!context) return -EINVAL;
  struct tls *t = calloc(1, sizeof *t);
  BIO *bio = BIO_new(method);
  SSL *ssl = SSL_new(context->ssl);
  uint8_t *early = malloc(EARLY_BYTES_MAX);
  if (!t || !bio || !ssl || !early) {
    free(t);
    free(early);
    BIO_free(bio);
    SSL_free(ssl);
    return -ENOMEM;
  }
  context->holders++;
  *t = (struct tls){.ssl = ssl, .context = context, .reactor = r, .connection = c, .early = early};
  BIO_set_data(bio, t);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  if (context->accepts) SSL_set_accept_state(ssl);
  else SSL_set_connect_state(ssl);
  if (*server_name) SSL_set_tlsext_host_name(ssl, server_name);
  c->tls = t;
  if (!keep_early(t, r->memory + offset, length) || !keep_unread_events(r, c, at)) {
    snprintf(t->reason, sizeof t->reason, "too much was sent before the handshake");
    t->failed = true;
    connection_failed(r, c, EPROTO);
  }
  attend(r, c);
  return 0;
}

const char *tls_reason(const struct connection *c) { return c->tls && c->tls->failed ? c->tls->reason : NULL; }

void tls_describe(const struct connection *c, struct tls_description *out) {
  const SSL *ssl = c->tls->ssl;
  const unsigned char *protocol;
  unsigned int length;
  SSL_get0_alpn_selected(ssl, &protocol, &length);
  *out = (struct tls_description){.version = SSL_get_version(ssl),
                                  .cipher = SSL_get_cipher_name(ssl),
                                  .protocol = (const char *)protocol,
                                  .protocol_length = length};
  X509 *peer = SSL_get1_peer_certificate(ssl);
  if (!peer) return;
  out->peer_length = i2d_X509(peer, &out->peer);
  X509_free(peer);
}

void tls_description_free(struct tls_description *d) { OPENSSL_free(d->peer); }

#endif
