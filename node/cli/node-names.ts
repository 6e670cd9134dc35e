// Names for the node ids in an answer: people know their machines by name.
import type { MembersAnswer, StatusAnswer } from '../../protocol/api/control.ts';
import type { Client } from './client.ts';
import { printable, shortNode } from './format.ts';

/**
 * The nodes as people name them: `laptop`, `server (here)`, ids shortened where the name isn't known.
 * @throws WeftError what {@link Client} throws
 */
export async function nameNodes(
  client: Client,
  nodes: readonly string[],
  { signal }: { readonly signal: AbortSignal },
): Promise<string> {
  const [status, { members }] = await Promise.all([
    client.get<StatusAnswer>('/api/v1/status', { signal }),
    client.get<MembersAnswer>('/api/v1/members', { signal }),
  ]);
  const names = new Map(members.map(({ node, name }) => [node, name]));
  const named = nodes.map((node) =>
    node === status.node ? `${status.name} (here)` : (names.get(node) ?? shortNode(node)),
  );
  return named.length === 0 ? 'a node that did not say its name' : printable(named.join(', then '));
}
