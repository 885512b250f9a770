/**
 * Builds the native addon (native/build/sluice_io.node) with the system's C compiler: kernel headers and Node's own
 * headers are all it needs. Where that is impossible, one line says why, and the exit code is 0: the gateway then runs
 * on its `node` driver. Set CC to choose the compiler.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const output = join(folder, 'build', 'sluice_io.node');

function findNodeHeaders() {
  const besideNode = join(dirname(process.execPath), '..', 'include', 'node');
  if (existsSync(join(besideNode, 'node_api.h'))) return besideNode;
  try {
    return createRequire(import.meta.url)('node-api-headers').include_dir;
  } catch {
    return null;
  }
}

/** Folders that may hold the headers of OpenSSL 3: Node's own, or the system's, whose interface is the same. */
function findOpenSslHeaders() {
  const besideNode = join(dirname(realpathSync(process.execPath)), '..', 'include', 'node');
  const folders = [besideNode, '/usr/local/include/node', '/usr/include'];
  return folders.filter((folder) => existsSync(join(folder, 'openssl', 'ssl.h')));
}

function isUpToDate(inputs) {
  if (!existsSync(output)) return false;
  const built = statSync(output).mtimeMs;
  return inputs.every((input) => statSync(input).mtimeMs < built);
}

/** Returns null when the addon is there afterwards, otherwise why not. */
function build() {
  if (process.platform !== 'linux') return `it exists for Linux only, this is ${process.platform}`;
  const names = readdirSync(folder);
  const sources = names.filter((name) => name.endsWith('.c')).map((name) => join(folder, name));
  const headers = names.filter((name) => name.endsWith('.h')).map((name) => join(folder, name));
  if (isUpToDate([...sources, ...headers, fileURLToPath(import.meta.url)])) return null;
  const include = findNodeHeaders();
  if (include === null) return "Node's headers were not found";

  mkdirSync(dirname(output), { recursive: true });
  const compiler = process.env.CC || 'cc';
  // Written beside and renamed, so that a running gateway keeps the file that it has loaded.
  const fresh = `${output}.${process.pid}`;
  const flags = [
    '-shared',
    '-fPIC',
    '-O2',
    '-std=gnu11',
    '-D_GNU_SOURCE',
    '-Wall',
    '-Wextra',
    '-fvisibility=hidden',
    '-DNAPI_VERSION=8',
  ];
  const compile = (extra) =>
    spawnSync(compiler, [...flags, ...extra, `-I${include}`, '-o', fresh, ...sources], { encoding: 'utf8' });
  let result = null;
  for (const folder of findOpenSslHeaders()) {
    result = compile(['-DSLUICE_TLS', `-idirafter${folder}`]);
    if (result.status === 0) break;
  }
  if (result?.status !== 0) {
    result = compile([]);
    if (result.status === 0) {
      console.log(
        "sluice: native I/O was built without TLS: OpenSSL's headers were not found beside Node.js",
      );
    }
  }
  if (result.error) return `the C compiler "${compiler}" could not be started (${result.error.code})`;
  if (result.stderr) process.stderr.write(result.stderr);
  if (result.status !== 0) {
    rmSync(fresh, { force: true });
    return `the C compiler "${compiler}" failed (see above)`;
  }
  renameSync(fresh, output);
  return null;
}

const failure = build();
if (failure !== null)
  console.log(`sluice: native I/O was not built: ${failure}; the slower node driver will be used`);
