// The process behind TransferProcess: plays one role, and answers its parent. Started by transfer-process.ts only.
import type {
  ChildReply,
  ChildRequest,
  Fetched,
  FetchRequest,
  MemoryTaken,
  Opened,
  Roles,
} from './transfer-process.ts';

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

let most: MemoryTaken = { heapExternalMb: 0, residentMb: 0 };
setInterval(() => {
  const { heapUsed, external, rss } = process.memoryUsage();
  most = {
    heapExternalMb: Math.max(most.heapExternalMb, (heapUsed + external) / MB),
    residentMb: Math.max(most.residentMb, rss / MB),
  };
}, SAMPLE_MS);

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
    case 'memory': {
      const taken = most;
      most = { heapExternalMb: 0, residentMb: 0 };
      return taken;
    }
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
