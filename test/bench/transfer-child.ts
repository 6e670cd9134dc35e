// The process behind TransferProcess: plays one role, and answers its parent. Started by transfer-process.ts only.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ChildReply, ChildRequest, Fetched, FetchRequest, Opened, Roles, Taken } from './transfer-process.ts';

/** An end that has been opened. */
export interface End extends Opened {
  fetch?(request: FetchRequest & { readonly cid?: string }): Promise<Fetched>;
  /** As TransferProcess's. */
  begin?(request: FetchRequest): Promise<void>;
  moved?(): number;
  end?(): Promise<void>;
}

/** Each role's code is loaded by whoever plays it: what one imports is no other one's memory. */
const ROLES: { readonly [Role in keyof Roles]: (init: Roles[Role]) => Promise<End> } = {
  weft: async (init) => (await import('./transfer-weft.ts')).openWeft(init),
  stream: async (init) => (await import('./transfer-stream.ts')).openStream(init),
  bitswap: async (init) => (await import('./transfer-bitswap.ts')).openBitswap(init),
  node: async (init) => (await import('./transfer-node.ts')).openNode(init),
  links: async (init) => (await import('./transfer-links.ts')).openLinks(init),
};

const SAMPLE_MS = 20;
const MB = 1e6;

let most = { heapExternalMb: 0, residentMb: 0 };
let cpuBefore = process.cpuUsage();
setInterval(() => {
  const { heapUsed, external, rss } = process.memoryUsage();
  most = {
    heapExternalMb: Math.max(most.heapExternalMb, (heapUsed + external) / MB),
    residentMb: Math.max(most.residentMb, rss / MB),
  };
}, SAMPLE_MS);

function taken(): Taken {
  const { user, system } = process.cpuUsage(cpuBefore);
  const answer = { ...most, cpuMs: (user + system) / 1_000 };
  most = { heapExternalMb: 0, residentMb: 0 };
  cpuBefore = process.cpuUsage();
  return answer;
}

/** Twice: what the first collection lets go of may have held something. */
function idleMb(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  for (let time = 0; time < 2; time++) collect();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / MB;
}

let end: End | undefined;

async function answer(request: ChildRequest): Promise<unknown> {
  switch (request.kind) {
    case 'open': {
      end = await ROLES[request.role](request.init as never);
      const { address, key, cid } = end;
      return { address, key, cid };
    }
    case 'fetch':
      return end?.fetch?.(request.request);
    case 'begin':
      return end?.begin?.(request.request);
    case 'moved':
      return end?.moved?.();
    case 'end':
      return end?.end?.();
    case 'idle':
      return idleMb();
    case 'taken':
      return taken();
  }
}

process.on('message', (message) => {
  const { id, ...request } = message as ChildRequest & { readonly id: number };
  const reply = (content: ChildReply): void => void process.send?.(content);
  answer(request as ChildRequest).then(
    (result) => reply({ id, result }),
    (error: unknown) => reply({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
process.once('disconnect', () => process.exit());
