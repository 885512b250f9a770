/* The one function of the addon that has nothing to do with reactors. */
#ifndef SLUICE_NOTIFY_H
#define SLUICE_NOTIFY_H

#include <node_api.h>

/* notify(path, message): see src/reactor/native-addon.ts. */
napi_value js_notify(napi_env env, napi_callback_info info);

#endif
