// What a person reads after `weft serve`: the self-check if it was asked for, where the node answers, who its peers are,
// and what to type next.
import type { RunningNode } from '../app/node.ts';
import { systemRandom } from '../app/random.ts';
import { type Home, homeFolder } from '../config/home.ts';
import { delay, systemClock } from '../core/clock.ts';
import { newId } from '../gateway/ids.ts';
import type { CommandContext } from './context.ts';
import { asArgument, printable, shortNode } from './format.ts';
import { PEERS_POLL_MS, PEERS_WAIT_MS } from './limits.ts';
import { selfCheck } from './self-check.ts';
import { VERSION } from './version.ts';

export interface WelcomeComponents {
  readonly node: RunningNode;
  readonly home: Home;
  readonly context: CommandContext;
}

/** Prints it all, or as much as there is time for before the context's signal. */
export async function welcome(components: WelcomeComponents, init: { readonly selfCheck: boolean }): Promise<void> {
  const { node, home, context } = components;
  const { stdout, signal, env } = context;
  const print = (text: string) => void stdout.write(text);
  print(`Weft ${VERSION} · ${printable(node.name)} (${shortNode(node.node)})\n\n`);
  if (init.selfCheck) {
    const newRequestId = () => newId(systemRandom, 'req_');
    await selfCheck({ coordinator: node.coordinator, nameOf: namesOf(node), newRequestId, print }, signal);
  }
  await peersConnected(node, signal);
  if (signal.aborted) return;
  const models = node.coordinator.models().map(({ aliases, id }) => aliases[0] ?? id);
  for (const notice of node.notices) print(`  Note     ${printable(notice)}\n`);
  print(`  API      ${node.url}/v1\n`);
  print(`  API key  ${node.apiKeyFile ?? 'as set by WEFT_API_KEY'}\n`);
  print(`  Pages    ${pagesLine(node, stdout.isTTY === true)}\n`);
  print(`  Models   ${models.length === 0 ? 'none yet' : models.map(printable).join(', ')}\n`);
  print(`  Peers    ${describePeers(node)}\n\n`);
  const weft = env.npm_execpath === undefined ? 'weft' : 'npx weft';
  const elsewhere =
    home.folder === homeFolder({ env: { ...env, WEFT_HOME: undefined } }) ? '' : ` --home ${asArgument(home.folder)}`;
  print('Next, in another terminal:\n');
  print(`  ${weft} run smollm2 "Hello!"${elsewhere}\n`);
  print(`  ${weft} invite${elsewhere}\n\n`);
  print('Serving; Ctrl-C stops.\n');
}

/** Only a terminal gets the link: what goes elsewhere is a log, which others read. */
function pagesLine(node: RunningNode, isTerminal: boolean): string {
  return isTerminal ? node.signInLink().url : `${node.url}; \`weft dashboard\` makes a link that signs in`;
}

/** Names for node ids: this node's own, and those of members. */
function namesOf(node: RunningNode): (id: string) => string {
  return (id) => {
    if (id === node.node) return `${printable(node.name)} (here)`;
    const member = node.control.members().find((one) => one.node === id);
    return member === undefined ? shortNode(id) : printable(member.name);
  };
}

/** Waits a moment for the other members: connections take some milliseconds on a local network. */
async function peersConnected({ control }: RunningNode, signal: AbortSignal): Promise<void> {
  const until = systemClock.now() + PEERS_WAIT_MS;
  while (systemClock.now() < until && !signal.aborted) {
    if (control.peers().every(({ state }) => state === 'connected')) return;
    await delay(systemClock, PEERS_POLL_MS);
  }
}

function describePeers({ control }: RunningNode): string {
  const peers = control.peers();
  if (peers.length === 0) return 'none: this node is a mesh of its own';
  const connected = peers.filter(({ state }) => state === 'connected').map(({ name }) => printable(name));
  const missing = peers.length - connected.length;
  const found = connected.length === 0 ? 'none found yet' : `${connected.length} found: ${connected.join(', ')}`;
  return missing === 0 ? found : `${found}; ${missing} not reached, still looking`;
}
