// Meshes for tests: real nodes on loopback with fakes at the ports (member list, invitations, policy, engine).
import { createHash, randomBytes } from 'node:crypto';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { expect, vi } from 'vitest';
import { systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { Policy } from '../../../node/core/policy.ts';
import type { DeviceKey, Invitations, Member, Membership } from '../../../node/core/trust.ts';
import type { Liveness } from '../../../node/mesh/limits.ts';
import { Libp2pMesh, type Libp2pMeshComponents, type Libp2pMeshInit } from '../../../node/mesh/mesh.ts';
import type { Advert, Load } from '../../../protocol/capability.ts';

/** Generous: the machine may be busy. What is waited for is an event, never the time itself. */
export const SOON = { timeout: 15_000, interval: 10 };

export async function makeKey(): Promise<DeviceKey> {
  const seed = new Uint8Array(randomBytes(32));
  const privateKey = await generateKeyPairFromSeed('Ed25519', seed);
  return { node: privateKey.publicKey.toString(), publicKey: privateKey.publicKey.raw, seed };
}

/** A member list without signatures: statements are "add NODE" and "revoke NODE"; a revocation wins. */
export class FakeMembership implements Membership {
  meshId: string;
  readonly self: Member;
  readonly #said = new Set<string>();
  readonly #listeners = new Set<() => void>();

  constructor(self: string, members: readonly string[], meshId = 'ab'.repeat(32)) {
    this.meshId = meshId;
    this.self = { node: self, name: self.slice(-4), role: 'admin' };
    for (const node of [self, ...members]) this.#said.add(`add ${node}`);
  }

  isMember(node: string): boolean {
    return this.#said.has(`add ${node}`) && !this.#said.has(`revoke ${node}`);
  }
  members(): readonly Member[] {
    return [...this.#said]
      .filter((said) => said.startsWith('add '))
      .map((said) => said.slice(4))
      .filter((node) => this.isMember(node))
      .map((node) => ({ node, name: node.slice(-4), role: 'member' as const }));
  }
  digest(): Uint8Array {
    return createHash('sha256')
      .update([...this.#said].sort().join('\n'))
      .digest();
  }
  statements(): readonly Uint8Array[] {
    return [...this.#said].map((said) => Buffer.from(said));
  }
  async merge(statements: readonly Uint8Array[]): Promise<boolean> {
    const before = this.#said.size;
    for (const statement of statements) this.#said.add(Buffer.from(statement).toString());
    if (this.#said.size === before) return false;
    for (const listener of [...this.#listeners]) listener();
    return true;
  }
  say(...said: readonly string[]): Promise<boolean> {
    return this.merge(said.map((text) => Buffer.from(text)));
  }
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** No invitation is open. */
export const noInvitations: Invitations = {
  create: () => Promise.reject(new Error('not used here')),
  open: () => [],
  cancel: () => Promise.reject(new Error('not used here')),
  anyOpen: () => false,
  hello: () => {
    throw new Error('not used here');
  },
  admit: () => Promise.reject(new Error('not used here')),
};

export const allowAll: Policy = {
  authorize() {
    /* everything */
  },
};

export const LOAD: Load = { requestsInFlight: 0, queuedMs: 0, latencyMs: 0, memoryFreeBytes: 1 << 30 };

export function makeAdvert(
  node: string,
  overrides: Partial<Advert> = {},
): Omit<Advert, 'sequence' | 'addresses' | 'load'> {
  return {
    node,
    name: node.slice(-4),
    version: '0.0.0',
    incarnation: Date.now(),
    hardware: { platform: 'linux', arch: 'x64', cpuModel: 'test', cpuCount: 2, memoryBytes: 1 << 30, devices: [] },
    offers: [],
    ...overrides,
  };
}

export interface TestNode {
  readonly key: DeviceKey;
  readonly membership: FakeMembership;
  readonly mesh: Libp2pMesh;
}

export interface TestNodeInit {
  readonly key?: DeviceKey;
  readonly members?: readonly string[];
  readonly membership?: FakeMembership;
  readonly bootstrap?: () => readonly string[];
  readonly liveness?: Partial<Liveness>;
  readonly components?: Partial<Libp2pMeshComponents>;
  readonly init?: Partial<Libp2pMeshInit>;
  /** Registers handlers before the start. */
  readonly prepare?: (mesh: Libp2pMesh) => void;
  /** @default true */
  readonly start?: boolean;
}

const started: Libp2pMesh[] = [];

/** A node on a free port of 127.0.0.1. {@link stopAll} stops it. */
export async function startNode(options: TestNodeInit = {}): Promise<TestNode> {
  const key = options.key ?? (await makeKey());
  const membership = options.membership ?? new FakeMembership(key.node, options.members ?? []);
  const mesh = new Libp2pMesh(
    {
      clock: systemClock,
      log: silentLog,
      membership,
      invitations: noInvitations,
      policy: allowAll,
      telemetry: { count: vi.fn(), gauge: vi.fn() },
      load: () => LOAD,
      advert: () => makeAdvert(key.node),
      ...options.components,
    },
    {
      key,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      announce: [],
      mdns: false,
      bootstrap: options.bootstrap ?? (() => []),
      ...(options.liveness === undefined ? {} : { liveness: options.liveness }),
      ...options.init,
    },
  );
  options.prepare?.(mesh);
  started.push(mesh);
  if (options.start !== false) await mesh.start();
  return { key, membership, mesh };
}

export async function stopAll(): Promise<void> {
  await Promise.all(started.splice(0).map((mesh) => mesh.stop()));
}

/** Two members, connected: the second dials the first. */
export async function startPair(
  first: TestNodeInit = {},
  second: TestNodeInit = {},
): Promise<{ readonly a: TestNode; readonly b: TestNode }> {
  const [keyA, keyB] = [first.key ?? (await makeKey()), second.key ?? (await makeKey())];
  const a = await startNode({ members: [keyB.node], ...first, key: keyA });
  const b = await startNode({ members: [keyA.node], bootstrap: () => a.mesh.addresses(), ...second, key: keyB });
  await connected(a, b);
  return { a, b };
}

export function stateOf(from: TestNode, to: TestNode): string {
  return from.mesh.peer(to.key.node)?.state ?? 'unknown';
}

/** Waits until each sees each other. */
export async function connected(...nodes: readonly TestNode[]): Promise<void> {
  await vi.waitFor(() => {
    for (const from of nodes) {
      for (const to of nodes) if (from !== to) expect(stateOf(from, to)).toBe('connected');
    }
  }, SOON);
}

export const never = new AbortController().signal;
