/* One datagram to a unix socket, which Node.js cannot send: what a service tells its service manager (sd_notify). */
#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_BYTES_MAX 4096

/* Returns 0 or a negative errno. A path that begins with `@` is one of the abstract namespace. */
static int send_datagram(const char *path, const char *message) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  if (length < 2 || length >= sizeof address.sun_path) return -EINVAL;
  memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  ssize_t sent = sendto(fd, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address, size);
  int error = sent < 0 ? -errno : 0;
  close(fd);
  return error;
}

napi_value js_notify(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2], result;
  char path[sizeof((struct sockaddr_un *)0)->sun_path + 1] = "", message[MESSAGE_BYTES_MAX] = "";
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  int error = -EINVAL;
  if (count == 2 && napi_get_value_string_utf8(env, arguments[0], path, sizeof path, NULL) == napi_ok &&
      napi_get_value_string_utf8(env, arguments[1], message, sizeof message, NULL) == napi_ok)
    error = send_datagram(path, message);
  napi_create_int32(env, error, &result);
  return result;
}
