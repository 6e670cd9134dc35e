// Names for the node ids in an answer: people know their machines by name.
import type { MembersAnswer, StatusAnswer } from '../../protocol/api/control.ts';
import { WeftError } from '../../protocol/errors.ts';
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

/**
 * The member that a person means: by its name, its id, or the end of it as `weft peers` shows it.
 * @throws WeftError `not_found` for none or several, and what {@link Client} throws
 */
export async function nodeNamed(
  client: Client,
  wanted: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<string> {
  const { members } = await client.get<MembersAnswer>('/api/v1/members', { signal });
  const ending = wanted.replace(/^…/, '');
  const found = members.filter(
    ({ node, name }) => node === wanted || name === wanted || (ending.length >= ID_END_MIN && node.endsWith(ending)),
  );
  const [only] = found;
  if (only !== undefined && found.length === 1) return only.node;
  const named = (found.length > 1 ? found : members).map(({ node, name }) => `${name} (${shortNode(node)})`).join(', ');
  throw new WeftError({
    code: 'not_found',
    message: printable(
      found.length > 1 ? `Several members could be "${wanted}": ${named}.` : `No member of the mesh is "${wanted}".`,
    ),
    remedy: printable(found.length > 1 ? 'Write the end of its id.' : `There are ${named}.`),
  });
}

/** Characters of the end of an id that are taken for one. */
const ID_END_MIN = 6;

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
