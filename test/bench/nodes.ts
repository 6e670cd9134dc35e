// The contenders that are Weft: a node in this process, and one in a process of its own on loopback, which it joined.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningNode, startNode } from '../../node/app/node.ts';
import { openHome } from '../../node/config/home.ts';
import { loadSettings } from '../../node/config/settings.ts';
import type { AvailableModel } from '../../node/core/dispatcher.ts';
import { silentLog } from '../../node/core/log.ts';
import { type Daemon, startDaemon, ticketOf } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

/** A node assembled in this process. */
export interface LocalNode {
  readonly node: RunningNode;
  stop(): Promise<void>;
}

/** @param env settings, over the defaults of a benchmark: loopback, free ports, a folder of its own */
export async function startLocal(env: Record<string, string>, joinTicket?: string): Promise<LocalNode> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-bench-'));
  const home = await openHome({ folder });
  const settingsInit = {
    flags: {},
    env: {
      WEFT_HOST: '127.0.0.1:0',
      WEFT_LISTEN: '/ip4/127.0.0.1/tcp/0',
      WEFT_MDNS: 'false',
      WEFT_MEASURE: 'false',
      ...env,
    },
    home: folder,
  };
  const node = await startNode({
    settings: loadSettings(settingsInit),
    settingsInit,
    home,
    log: silentLog,
    version: 'bench',
    requestStop: () => undefined,
    requestRestart: () => undefined,
    ...(joinTicket !== undefined && { joinTicket }),
  });
  return {
    node,
    stop: async () => {
      await node.stop();
      await home.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The three ways of a request: the engine of this process, and a second process over the mesh. */
export interface BenchNodes {
  /** Executes in a runner of this process. */
  readonly here: LocalNode;
  /** Offers nothing, so its dispatcher sends everything to the peer. */
  readonly entry: LocalNode;
  readonly peer: Daemon;
  stop(): Promise<void>;
}

export async function startBenchNodes(threads: number): Promise<BenchNodes> {
  const env = { WEFT_THREADS: String(threads), WEFT_KEEP_ALIVE: '-1' };
  const here = await startLocal(env);
  const peer = await startDaemon({ env });
  const entry = await startLocal({ ...env, WEFT_OFFER: 'none' }, await ticketOf(peer));
  await until(
    'the peer among the models',
    () => entry.node.dispatcher.models().filter(({ nodes }) => nodes.length > 0).length >= 2,
  );
  return {
    here,
    entry,
    peer,
    stop: async () => {
      await entry.stop();
      await here.stop();
      await peer.stop();
    },
  };
}

/** The offer of a task at a node. */
export function offered(node: LocalNode, task: string): AvailableModel {
  const model = node.node.dispatcher.models().find(({ offer }) => offer.task === task);
  if (model === undefined) throw new Error(`Nobody offers ${task}.`);
  return model;
}
