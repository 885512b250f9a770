/** Reads what `auth_hba_file` and `auth_ident_file` name, where `auth_type` is `hba`. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { HbaRule, IdentMap } from '../core/hba.js';
import { parseHbaFile } from './hba-file.js';
import { parseIdentFile } from './ident-file.js';
import type { OriginMap } from './origin-map.js';
import type { Problem } from './problem.js';
import type { ConfigValues } from './schema.js';
import { explainUnreadable } from './unreadable.js';

/** The rules; empty where `auth_type` isn't `hba`. What is wrong with the files is added to `problems`. */
export async function readHba(
  values: ConfigValues,
  origins: OriginMap,
  problems: Problem[],
): Promise<readonly HbaRule[]> {
  if (values.auth_type !== 'hba') return [];
  const maps = await readMaps(values, origins, problems);
  const file = values.auth_hba_file;
  const source = await readText(file, 'auth_hba_file', origins, problems);
  const { rules, problems: found } = parseHbaFile(source, { file, maps, readIncluded });
  problems.push(...found);
  return Object.freeze(rules);
}

async function readMaps(
  values: ConfigValues,
  origins: OriginMap,
  problems: Problem[],
): Promise<ReadonlyMap<string, IdentMap>> {
  const file = values.auth_ident_file;
  if (file === '') return new Map();
  const source = await readText(file, 'auth_ident_file', origins, problems);
  const { maps, problems: found } = parseIdentFile(source, file);
  problems.push(...found);
  return maps;
}

/** Nothing where the file can't be read: then no rule fits anybody. */
async function readText(
  file: string,
  setting: string,
  origins: OriginMap,
  problems: Problem[],
): Promise<string> {
  const origin = origins.get([setting]);
  if (file === '') {
    problems.push({ origin, key: setting, message: 'is missing: auth_type hba asks for it' });
    return '';
  }
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const message = `${JSON.stringify(file)}: ${explainUnreadable(error)}`;
    problems.push({ origin, key: setting, message });
    return '';
  }
}

function readIncluded(name: string, from: string): { readonly path: string; readonly text: string } | null {
  const found = path.resolve(path.dirname(from), name);
  try {
    return { path: found, text: readFileSync(found, 'utf8') };
  } catch {
    return null;
  }
}
