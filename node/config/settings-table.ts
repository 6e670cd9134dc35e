// The table of settings: one row for each, with its flag, its environment variable, how a value is checked, and its
// default. settings.ts reads by it, and a test holds docs/configuration.md against it.
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { MANAGED, YIELD_REASONS, type YieldReason } from '../../protocol/capability.ts';
import { API_KEY_PATTERN } from '../../protocol/daemon-record.ts';
import { formatDeviceSetting, parseDeviceSetting } from '../core/devices.ts';
import { formatApiAddress, isHttpUrl, isOrigin, parseApiAddress, parseSwarmAddress } from './addresses.ts';

import {
  KEEP_ALIVE_MS_MAX,
  LIST_LENGTH_MAX,
  MEMORY_BYTES_MIN,
  PARALLEL_MAX,
  QUEUE_MS_MAX,
  QUEUE_MS_MIN,
  STORAGE_BYTES_MIN,
  THREADS_MAX,
  VALUE_LENGTH_MAX,
} from './limits.ts';
import { formatReplicas, parseReplicas } from './replicas.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from './units.ts';

/** What defaults are made from. */
export interface Machine {
  /** Absolute path of the data folder. */
  readonly home: string;
  readonly hostname: string;
  /** Cores that this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
}

interface Row<Schema extends z.ZodType> {
  /** As the CLI names it. */
  readonly flag: string;
  /** The flag takes no value: naming it is enough. */
  readonly isSwitch: boolean;
  readonly env: string;
  /** False for what doesn't belong into settings.json. */
  readonly inFile: boolean;
  /** No message quotes its value. */
  readonly secret: boolean;
  /** A running daemon takes a change in settings.json over at once; LiveSettings tells the part that works by it. */
  readonly live: boolean;
  /**
   * Only who is at the node changes it, never an admin from elsewhere: where the node sends its secrets and what must not
   * leave it, whose models it trusts, where it writes on that machine's disk, who reaches it, and where it listens: a node
   * that doesn't start again is out of reach.
   */
  readonly local: boolean;
  readonly schema: Schema;
  /** What to write, for a person who wrote something else. */
  readonly expected: string;
  /** As a person would write it; checked like any other value. */
  readonly byDefault: (machine: Machine) => unknown;
  /** A checked value as a person would write it; null = none. Never a secret. */
  readonly show: (value: z.output<Schema>) => unknown;
}

type Usual = 'isSwitch' | 'inFile' | 'secret' | 'live' | 'local' | 'show';

function row<Schema extends z.ZodType>(
  spec: Omit<Row<Schema>, Usual> & Partial<Pick<Row<Schema>, Usual>>,
): Row<Schema> {
  return {
    isSwitch: false,
    inFile: true,
    secret: false,
    live: false,
    local: false,
    show: (value) => value ?? null,
    ...spec,
  };
}

const text = z.string().trim().min(1).max(VALUE_LENGTH_MAX);

/** A string (or a number in JSON) that `parse` understands. */
function parsed<T>(parse: (value: string) => T | undefined) {
  return z.union([text, z.number().transform(String)]).transform((value, context): T => {
    const result = parse(value);
    if (result !== undefined) return result;
    context.addIssue('not understood');
    return z.NEVER;
  });
}

const wholeNumber = (min: number, max: number) =>
  parsed((value) =>
    /^\d{1,9}$/.test(value) && Number(value) >= min && Number(value) <= max ? Number(value) : undefined,
  );

const duration = (minMs: number, maxMs: number) =>
  parsed((value) => {
    const ms = parseDuration(value);
    return ms !== undefined && ms >= minMs && ms <= maxMs ? ms : undefined;
  });

const TRUTH: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['yes', true],
  ['on', true],
  ['false', false],
  ['0', false],
  ['no', false],
  ['off', false],
]);

const truth = z.union([z.boolean(), parsed((value) => TRUTH.get(value.toLowerCase()))]);

/** "a,b" or an array; each element as `check` wants it. */
function listOf(check: (value: string) => boolean) {
  const split = z
    .string()
    .max(LIST_LENGTH_MAX * VALUE_LENGTH_MAX)
    .transform((value) => value.split(','));
  return z
    .union([split, z.array(z.string())])
    .transform((values) => values.map((value) => value.trim()).filter((value) => value !== ''))
    .pipe(z.array(z.string().max(VALUE_LENGTH_MAX).refine(check)).max(LIST_LENGTH_MAX));
}

/** A hub id, `owner/name`, or a short name. */
const MODEL_NAME = /^[A-Za-z0-9][\w.-]{0,95}(\/[A-Za-z0-9][\w.-]{0,95})?$/;
const offer = listOf((value) => MODEL_NAME.test(value)).transform((names, context) => {
  const [first, ...more] = names;
  if (more.length === 0 && (first === 'all' || first === 'none')) return first;
  if (first !== undefined && !names.includes('all') && !names.includes('none')) return names;
  context.addIssue('not understood');
  return z.NEVER;
});

/** An element that isn't understood becomes none, and is refused. */
const replicas = listOf((value) => MODEL_NAME.test(parseReplicas(value)?.model ?? '')).transform((values) =>
  values.flatMap((value) => parseReplicas(value) ?? []),
);

const isYieldReason = (value: string): value is YieldReason => YIELD_REASONS.some((reason) => reason === value);

const yieldReasons = listOf((value) => value === 'none' || isYieldReason(value)).transform((values, context) => {
  if (values.length > 1 && values.includes('none')) {
    context.addIssue('not understood');
    return z.NEVER;
  }
  return values.filter(isYieldReason);
});

/** A publisher's Ed25519 key, or one that signs by OpenSSF's Model Signing, named by its digest. */
const KEY_NAME = /^(ed25519|openssf):[0-9a-f]{64}$/i;
const NODE_ID = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/;
const isSigner = (value: string): boolean => KEY_NAME.test(value) || NODE_ID.test(value) || isPemPath(value);
const isPemPath = (value: string): boolean => /\.(pem|pub)$/i.test(value) && !/\p{C}/u.test(value);

const signers = listOf((value) => value === 'any' || value === 'members' || isSigner(value)).transform(
  (values, context) => {
    const [first, ...more] = values;
    if (more.length === 0 && (first === 'any' || first === 'members')) return first;
    if (first !== undefined && values.every(isSigner)) {
      return values.map((value) => (isPemPath(value) ? resolve(value) : value));
    }
    context.addIssue('not understood');
    return z.NEVER;
  },
);

const isListenAddress = (value: string): boolean =>
  /^\/ip[46]\//.test(value) && !value.includes('/p2p/') && parseSwarmAddress(value) !== undefined;

/** Every setting of a node. The key is its name in settings.json. */
export const SETTINGS = {
  host: row({
    flag: '--host',
    env: 'WEFT_HOST',
    local: true,
    schema: parsed(parseApiAddress),
    expected: 'host:port, such as 127.0.0.1:9338',
    byDefault: () => '127.0.0.1:9338',
    show: formatApiAddress,
  }),
  apiKey: row({
    flag: '--api-key',
    env: 'WEFT_API_KEY',
    local: true,
    inFile: false,
    secret: true,
    schema: z.string().regex(API_KEY_PATTERN).optional(),
    expected: 'up to 512 visible ASCII characters without spaces',
    byDefault: () => undefined,
    show: (key) => (key === undefined ? null : '(set)'),
  }),
  origins: row({
    flag: '--origins',
    env: 'WEFT_ORIGINS',
    local: true,
    live: true,
    schema: listOf(isOrigin),
    expected: 'origins such as https://app.example, separated by commas',
    byDefault: () => [],
  }),
  listen: row({
    flag: '--listen',
    env: 'WEFT_LISTEN',
    local: true,
    schema: listOf(isListenAddress).refine((values) => values.length > 0),
    expected: 'swarm addresses such as /ip4/0.0.0.0/tcp/9339, separated by commas',
    byDefault: () => ['/ip4/0.0.0.0/tcp/9339'],
  }),
  announce: row({
    flag: '--announce',
    env: 'WEFT_ANNOUNCE',
    schema: listOf((value) => parseSwarmAddress(value) !== undefined),
    expected: 'swarm addresses such as /dns4/home.example/tcp/9339, separated by commas',
    byDefault: () => [],
  }),
  mdns: row({
    flag: '--no-mdns',
    isSwitch: true,
    env: 'WEFT_MDNS',
    schema: truth,
    expected: 'true or false',
    byDefault: () => true,
  }),
  name: row({
    flag: '--name',
    env: 'WEFT_NAME',
    schema: z
      .string()
      .trim()
      .regex(/^\P{C}{1,64}$/u),
    expected: 'up to 64 visible characters',
    byDefault: ({ hostname }) => hostname.replace(/\p{C}/gu, '').trim().slice(0, 64) || 'weft',
  }),
  offer: row({
    flag: '--offer',
    env: 'WEFT_OFFER',
    schema: offer,
    expected: '"all", "none", or names of models separated by commas',
    byDefault: () => 'all',
  }),
  models: row({
    flag: '--models',
    env: 'WEFT_MODELS',
    local: true,
    schema: text.transform((value) => resolve(value)),
    expected: 'a folder',
    byDefault: ({ home }) => join(home, 'models'),
  }),
  storage: row({
    flag: '--storage',
    env: 'WEFT_STORAGE',
    live: true,
    schema: parsed((value) => {
      if (value.toLowerCase() === 'none') return 'none' as const;
      const bytes = parseSize(value);
      return bytes !== undefined && bytes >= STORAGE_BYTES_MIN ? bytes : undefined;
    }).transform((value) => (value === 'none' ? undefined : value)),
    expected: 'a size of at least 1MiB, such as 200GB, or none',
    byDefault: () => 'none',
    show: (bytes) => (bytes === undefined ? 'none' : formatSize(bytes)),
  }),
  hub: row({
    flag: '--hub',
    env: 'HF_ENDPOINT',
    local: true,
    schema: text.refine(isHttpUrl).transform((value) => value.replace(/\/+$/, '')),
    expected: 'the http(s) URL of a hub, such as https://huggingface.co',
    byDefault: () => 'https://huggingface.co',
  }),
  hubToken: row({
    flag: '--hub-token',
    env: 'HF_TOKEN',
    local: true,
    inFile: false,
    secret: true,
    schema: z.string().trim().regex(API_KEY_PATTERN).optional(),
    expected: 'up to 512 visible ASCII characters without spaces',
    byDefault: () => undefined,
    show: (token) => (token === undefined ? null : '(set)'),
  }),
  offline: row({
    flag: '--offline',
    isSwitch: true,
    env: 'HF_HUB_OFFLINE',
    live: true,
    schema: truth,
    expected: 'true or false',
    byDefault: () => false,
  }),
  signers: row({
    flag: '--signers',
    env: 'WEFT_SIGNERS',
    local: true,
    live: true,
    schema: signers,
    expected: '"any", "members", or node ids, ed25519:HEX, openssf:HEX and .pem files separated by commas',
    byDefault: () => 'any',
  }),
  bring: row({
    flag: '--bring',
    env: 'WEFT_BRING',
    live: true,
    schema: z.enum(['auto', 'never']),
    expected: 'auto or never',
    byDefault: () => 'auto',
  }),
  rawLocal: row({
    flag: '--raw-local',
    env: 'WEFT_RAW_LOCAL',
    local: true,
    live: true,
    schema: listOf((value) => MODEL_NAME.test(value)),
    expected: 'names of models separated by commas',
    byDefault: () => [],
  }),
  lend: row({
    flag: '--lend',
    env: 'WEFT_LEND',
    live: true,
    schema: truth,
    expected: 'true or false',
    byDefault: () => true,
  }),
  share: row({
    flag: '--share',
    env: 'WEFT_SHARE',
    live: true,
    schema: truth,
    expected: 'true or false',
    byDefault: () => true,
  }),
  preferOthers: row({
    flag: '--prefer-others',
    env: 'WEFT_PREFER_OTHERS',
    live: true,
    schema: yieldReasons,
    expected: 'battery, owner, or both separated by a comma; or none',
    byDefault: () => ['battery'],
    show: (reasons) => (reasons.length === 0 ? ['none'] : reasons),
  }),
  managed: row({
    flag: '--managed',
    env: 'WEFT_MANAGED',
    live: true,
    local: true,
    schema: z.enum(MANAGED),
    expected: 'admins or none',
    byDefault: () => 'admins',
  }),
  device: row({
    flag: '--device',
    env: 'WEFT_DEVICE',
    schema: parsed(parseDeviceSetting),
    expected: 'auto, cpu, webgpu, cuda, coreml or dml, or one of several, such as cuda:1',
    byDefault: () => 'auto',
    show: formatDeviceSetting,
  }),
  threads: row({
    flag: '--threads',
    env: 'WEFT_THREADS',
    schema: wholeNumber(1, THREADS_MAX),
    expected: `a whole number from 1 to ${THREADS_MAX}`,
    byDefault: ({ cores }) => Math.max(1, Math.min(8, cores)),
  }),
  memory: row({
    flag: '--memory',
    env: 'WEFT_MEMORY',
    schema: parsed((value) => {
      const bytes = parseSize(value);
      return bytes !== undefined && bytes >= MEMORY_BYTES_MIN ? bytes : undefined;
    }),
    expected: 'a size of at least 1MiB, such as 4GiB',
    // In whole mebibytes: what is shown is read by people.
    byDefault: ({ memoryBytes }) => Math.max(1, Math.floor(memoryBytes / 2 / 2 ** 20)) * 2 ** 20,
    show: formatSize,
  }),
  keepAlive: row({
    flag: '--keep-alive',
    env: 'WEFT_KEEP_ALIVE',
    live: true,
    schema: parsed((value) => {
      const ms = value === '-1' ? Number.POSITIVE_INFINITY : parseDuration(value);
      return ms !== undefined && (ms <= KEEP_ALIVE_MS_MAX || value === '-1') ? ms : undefined;
    }),
    expected: 'a duration such as 5m (24d at most), 0 for none, or -1 for ever',
    byDefault: () => '5m',
    show: (ms) => (ms === Number.POSITIVE_INFINITY ? '-1' : formatDuration(ms)),
  }),
  pin: row({
    flag: '--pin',
    env: 'WEFT_PIN',
    live: true,
    schema: listOf((value) => MODEL_NAME.test(value)),
    expected: 'names of models separated by commas',
    byDefault: () => [],
  }),
  replicas: row({
    flag: '--replicas',
    env: 'WEFT_REPLICAS',
    live: true,
    schema: replicas,
    expected: 'copies of models, such as smollm2=1..3,minilm=2, separated by commas',
    byDefault: () => [],
    show: (wanted) => wanted.map(formatReplicas),
  }),
  maxQueue: row({
    flag: '--max-queue',
    env: 'WEFT_MAX_QUEUE',
    live: true,
    schema: duration(QUEUE_MS_MIN, QUEUE_MS_MAX),
    expected: 'a duration from 100ms to 1h, such as 30s',
    byDefault: () => '30s',
    show: formatDuration,
  }),
  numParallel: row({
    flag: '--num-parallel',
    env: 'WEFT_NUM_PARALLEL',
    schema: wholeNumber(1, PARALLEL_MAX),
    expected: `a whole number from 1 to ${PARALLEL_MAX}`,
    byDefault: () => 16,
  }),
  exact: row({
    flag: '--exact',
    isSwitch: true,
    env: 'WEFT_EXACT',
    schema: truth,
    expected: 'true or false',
    byDefault: () => false,
  }),
  measure: row({
    flag: '--no-measure',
    isSwitch: true,
    env: 'WEFT_MEASURE',
    schema: truth,
    expected: 'true or false',
    byDefault: () => true,
  }),
  lenient: row({
    flag: '--lenient',
    isSwitch: true,
    env: 'WEFT_LENIENT',
    live: true,
    schema: truth,
    expected: 'true or false',
    byDefault: () => false,
  }),
  livenessTimeout: row({
    flag: '--liveness-timeout',
    env: 'WEFT_LIVENESS_TIMEOUT',
    schema: duration(200, 60_000),
    expected: 'a duration from 200ms to 1m',
    byDefault: () => '2s',
    show: formatDuration,
  }),
  runnerTimeout: row({
    flag: '--runner-timeout',
    env: 'WEFT_RUNNER_TIMEOUT',
    schema: duration(200, 600_000),
    expected: 'a duration from 200ms to 10m',
    byDefault: () => '2s',
    show: formatDuration,
  }),
  logLevel: row({
    flag: '--log-level',
    env: 'WEFT_LOG_LEVEL',
    live: true,
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
    expected: 'debug, info, warn, error or silent',
    byDefault: () => 'warn',
  }),
  otlpEndpoint: row({
    flag: '--otlp-endpoint',
    env: 'WEFT_OTLP_ENDPOINT',
    local: true,
    schema: text.refine(isHttpUrl).optional(),
    expected: 'the http(s) URL of an OpenTelemetry collector, such as http://127.0.0.1:4318',
    byDefault: () => undefined,
  }),
} as const;

export type SettingName = keyof typeof SETTINGS;

/** What a row's check gives. */
export type SettingValue<Name extends SettingName> = z.output<(typeof SETTINGS)[Name]['schema']>;
