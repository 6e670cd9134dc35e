// Names for the node ids in an answer: people know their machines by name.
import type { MembersAnswer, StatusAnswer } from '../../protocol/api/control.ts';
import type { Client } from './client.ts';
import { printable, shortNode } from './format.ts';

/** A node as people name it: `laptop`, `server (here)`, its id shortened where the name isn't known. Not yet printable. */
export type NameOf = (node: string) => string;

/** @throws WeftError what {@link Client} throws */
export async function nodeNames(client: Client, { signal }: { readonly signal: AbortSignal }): Promise<NameOf> {
  const [status, { members }] = await Promise.all([
    client.get<StatusAnswer>('/api/v1/status', { signal }),
    client.get<MembersAnswer>('/api/v1/members', { signal }),
  ]);
  return namesOf(status, members);
}

/** Names by what the daemon said of itself and of the others. */
export function namesOf(
  self: { readonly node: string; readonly name: string },
  others: readonly { readonly node: string; readonly name: string }[],
): NameOf {
  const names = new Map(others.map(({ node, name }) => [node, name]));
  return (node) => (node === self.node ? `${self.name} (here)` : (names.get(node) ?? shortNode(node)));
}

/**
 * The nodes of one answer on one line, in the order in which they worked.
 * @throws WeftError what {@link Client} throws
 */
export async function nameNodes(
  client: Client,
  nodes: readonly string[],
  { signal }: { readonly signal: AbortSignal },
): Promise<string> {
  const named = nodes.map(await nodeNames(client, { signal }));
  return named.length === 0 ? 'a node that did not say its name' : printable(named.join(', then '));
}
