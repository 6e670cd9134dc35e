// Any node of the mesh, managed through this one: `/api/v1/nodes/{node}/…` with the paths and bodies of that node's own
// control API. The table is protocol/api/control/manage.ts; who may is decided at the node that is meant.
import { z } from 'zod';
import { type AnyManagedRow, MANAGED_OPERATIONS, type ManagedOperation } from '../../protocol/api/control.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { ManagedNodes } from '../core/manage.ts';
import { refusedSetting } from './control.ts';
import { HttpError } from './errors.ts';
import type { Endpoint, Exchange } from './exchange.ts';

export interface NodesComponents {
  readonly nodes: ManagedNodes;
}

/** What stands for the rest of a path: `models/{model}`. */
const REST = /\{(\w+)\}$/;

/** Checked where it is carried out, by the version of that node. */
const AnyRequest = z.record(z.string(), z.unknown(), 'must be an object');

/** The endpoints. */
export function managedNodes({ nodes }: NodesComponents): readonly Endpoint[] {
  return Object.entries(MANAGED_OPERATIONS).map(([name, { method, path }]: [string, AnyManagedRow]): Endpoint => {
    const rest = REST.exec(path)?.[1];
    return {
      method,
      url: `/api/v1/nodes/:node/${path.replace(REST, '*')}`,
      async handle(exchange) {
        const asked = method === 'GET' ? exchange.readQuery(AnyRequest) : await exchange.readJson(AnyRequest);
        const request = rest === undefined ? asked : { ...asked, [rest]: exchange.wildcard };
        return manage(nodes, exchange, name as ManagedOperation, request);
      },
    };
  });
}

async function manage(
  nodes: ManagedNodes,
  exchange: Exchange,
  operation: ManagedOperation,
  request: unknown,
): Promise<unknown> {
  const { signal, requestId, closed } = exchange;
  const afterwards = (callback: () => void): void => void closed.then(callback);
  const { status, body } = await nodes
    .manage(exchange.parameter('node'), operation, request, { signal, requestId, afterwards })
    .catch(refused);
  exchange.reply.status(status);
  return body;
}

/** An answer that is none is the other node's fault, not the client's. */
function refused(error: unknown): never {
  if (!(error instanceof WeftError) || error.code !== 'frame_invalid') refusedSetting(error);
  const { code, message, facts } = error;
  const remedy = 'Look at the log of that node, and update Weft there.';
  throw new HttpError(502, { code, message, remedy, facts }, { cause: error });
}
