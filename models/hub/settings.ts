// How this machine talks to a hub, read as the hub's own tools read it (huggingface_hub, constants.py). Called by the
// composition root.
import { open } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { WeftError } from '../../protocol/errors.ts';

/** What {@link hubSettings} found; the most of HubClient's init. */
export interface HubSettings {
  /** Without a slash at the end. */
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly offline: boolean;
  /** The hub's cache on this machine, whether it is there or not. */
  readonly cacheFolder: string;
  /** Certificate authorities beside the usual ones, as PEM text. */
  readonly ca: string | undefined;
  /** A variable that is wrong: the client fails with it when it is used, and a node starts all the same. */
  readonly problem: WeftError | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_ENDPOINT = 'https://huggingface.co';

/** Longest token, and largest file of certificates; a system's own bundle has 0.2 MB. */
const TOKEN_BYTES_MAX = 4096;
const CA_BYTES_MAX = 4 << 20;

/** Files of certificate authorities, as OpenSSL, Python's requests, curl and Node name them. */
const CA_VARIABLES = ['SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS'] as const;

/**
 * HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE, HF_HOME, HF_HUB_CACHE and the variables of certificates.
 * @param home of the user, absolute
 */
export async function hubSettings(environment: Environment, home: string): Promise<HubSettings> {
  const place = (text: string): string => expand(text, environment, home);
  const cache = environment.XDG_CACHE_HOME || join(home, '.cache');
  const hubHome = place(environment.HF_HOME || join(cache, 'huggingface'));
  const cacheFolder = place(environment.HF_HUB_CACHE || environment.HUGGINGFACE_HUB_CACHE || join(hubHome, 'hub'));
  const tokenFile = place(environment.HF_TOKEN_PATH || join(hubHome, 'token'));
  const given = clean(environment.HF_TOKEN) ?? clean(environment.HUGGING_FACE_HUB_TOKEN);
  const quiet = isTrue(environment.HF_HUB_DISABLE_IMPLICIT_TOKEN);

  const problems: WeftError[] = [];
  let token = quiet ? undefined : (given ?? clean(await readText(tokenFile, TOKEN_BYTES_MAX)));
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    problems.push(wrong('HF_TOKEN', 'has characters that no token has'));
    token = undefined;
  }
  const endpoint = (environment.HF_ENDPOINT || DEFAULT_ENDPOINT).replace(/\/+$/, '');
  if (!isEndpoint(endpoint))
    problems.push(wrong('HF_ENDPOINT', 'is no address of a hub, such as https://huggingface.co'));
  const authorities = new Map<string, string>();
  for (const variable of CA_VARIABLES) {
    const path = environment[variable];
    if (path === undefined || path === '' || authorities.has(place(path))) continue;
    const pem = await readText(place(path), CA_BYTES_MAX);
    if (pem === undefined) problems.push(wrong(variable, 'names no file of certificates that can be read'));
    else authorities.set(place(path), pem);
  }
  return {
    endpoint,
    token,
    offline: isTrue(environment.HF_HUB_OFFLINE || environment.TRANSFORMERS_OFFLINE),
    cacheFolder,
    ca: authorities.size === 0 ? undefined : [...authorities.values()].join('\n'),
    problem: problems[0],
  };
}

const isTrue = (text: string | undefined): boolean => /^(1|on|yes|true)$/i.test(text ?? '');

/** Without line breaks and spaces around it, as it comes out of files. */
const clean = (token: string | undefined): string | undefined => token?.replace(/[\r\n]/g, '').trim() || undefined;

function wrong(variable: string, what: string): WeftError {
  return new WeftError({
    code: 'config_invalid',
    message: `${variable} ${what}.`,
    remedy: `Correct ${variable}, or unset it.`,
    facts: { param: variable },
  });
}

function isEndpoint(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && `${username}${password}${search}${hash}` === '';
}

/** `~`, `$NAME` and `${NAME}` as Python expands them; what is not set stays as it is. */
function expand(text: string, environment: Environment, home: string): string {
  const known = text
    .replace(
      /\$(?:(\w+)|\{(\w+)\})/g,
      (whole, plain?: string, braced?: string) => environment[plain ?? braced ?? ''] ?? whole,
    )
    .replace(/^~(?=$|[/\\])/, () => home);
  return isAbsolute(known) ? known : resolve(known);
}

/** The text of a small file; undefined when there is none, or more of it. */
async function readText(path: string, bytesMax: number): Promise<string | undefined> {
  try {
    await using handle = await open(path, 'r');
    const bytes = new Uint8Array(bytesMax + 1);
    let length = 0;
    while (length < bytes.byteLength) {
      const { bytesRead } = await handle.read(bytes, length, bytes.byteLength - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return length > bytesMax ? undefined : Buffer.from(bytes.subarray(0, length)).toString('utf8');
  } catch {
    return undefined;
  }
}
